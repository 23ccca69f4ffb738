#include "ops/softmax.h"

#include "contract/elementwise.h"
#include "runtime/isa.h"

namespace fastnn {

void softmax_forward(Steps& steps, bool log, const Floats& x, const Output& y) {
  steps.add(kernels().elementwise->softmax_forward, Softmax{x.sizes[0], x.sizes[1], log, x.data, y.data});
}

void softmax_backward(Steps& steps, bool log, const Floats& y, const Floats& dy, const Output& dx) {
  steps.add(kernels().elementwise->softmax_backward,
            SoftmaxBackward{y.sizes[0], y.sizes[1], log, y.data, dy.data, dx.data});
}

}  // namespace fastnn

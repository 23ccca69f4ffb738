#include "ops/transpose.h"

#include "contract/gemm.h"
#include "runtime/isa.h"

namespace fastnn {

void transpose(Steps& steps, const Floats& x, const Output& y) {
  steps.add(kernels().gemm->transpose, Transpose{x.sizes[0], x.sizes[1], x.sizes[2], x.data, y.data});
}

}  // namespace fastnn

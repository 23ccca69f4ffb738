#include "ops/batchnorm.h"

#include "contract/norm.h"
#include "runtime/isa.h"

namespace fastnn {

void batchnorm_forward(Steps& steps, const Floats& x, const Floats& weight, const Floats& bias, const Floats& mean,
                       const Floats& variance, double eps, bool relu, const Output& y, const Output& statistics) {
  BatchNorm b{};
  b.rows = x.sizes[0], b.c = x.sizes[1], b.eps = eps, b.relu = relu;
  b.x = x.data, b.weight = weight.data, b.bias = bias.data, b.mean = mean.data, b.variance = variance.data;
  b.statistics = statistics.data, b.y = y.data;
  steps.add(kernels().norm->batchnorm_forward, b);
}

void batchnorm_backward(Steps& steps, const Floats& dy, const Floats& x, const Floats& weight, const Floats& bias,
                        const Floats& statistics, bool fixed, bool relu, const Output& dx, const Output& dweight,
                        const Output& dbias) {
  BatchNormBackward b{};
  b.rows = x.sizes[0], b.c = x.sizes[1], b.fixed = fixed, b.relu = relu;
  b.x = x.data, b.dy = dy.data, b.weight = weight.data, b.bias = bias.data, b.statistics = statistics.data;
  b.dx = dx.data, b.dw = dweight.data, b.db = dbias.data;
  steps.add(kernels().norm->batchnorm_backward, b);
}

}  // namespace fastnn

// The contract of the optimizers; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- optimizer -----------------------------------------------------------------------------------------------------
// One step of stochastic gradient descent over n weights, in place; g is the gradient, negated to maximize.
// d = g + weight_decay w; with a buffer: buffer = d (first) or momentum buffer + (1 - dampening) d, and then
// d = buffer, or d + momentum buffer (nesterov); w -= lr d.
struct Sgd {
  int64_t n;
  float* weight;
  const float* grad;
  float* buffer;  // null: no momentum
  float lr, momentum, one_minus_dampening, weight_decay;
  bool nesterov, maximize, first;
};
// One step of Adam (AdamW where decoupled) over n weights, in place. m and v are running means of g and g g;
// w -= lr_m m / (scale_v sqrt(v) + eps), where lr_m = lr / (1 - beta1^t) and scale_v = 1 / sqrt(1 - beta2^t).
// weight_decay times w is added to g, or, already multiplied by lr, subtracted from w (decoupled).
struct Adam {
  int64_t n;
  float* weight;
  const float* grad;
  float *m, *v;
  float beta1, one_minus_beta1, beta2, one_minus_beta2, lr_m, scale_v, eps, weight_decay;
  bool decoupled, maximize;
};
// *out = sum of the squares of x (n), in double.
struct SumSquares {
  int64_t n;
  const float* x;
  double* out;
  float* workspace;
};

struct OptimKernels {
  Kernel<Adam> adam;
  Kernel<Sgd> sgd;
  Kernel<SumSquares> sum_squares;
};

}  // namespace fastnn

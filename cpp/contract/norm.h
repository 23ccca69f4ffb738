// The contract of the normalisations; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- batchnorm -----------------------------------------------------------------------------------------------------
// y (rows, c) = (x - mean) * rstd * weight + bias for x (rows, c): n, h, w are rows. weight and bias (c) may be null.
// statistics (4, c): the mean as the sum of two floats (a mean far from zero needs more digits than one), rstd =
// 1 / sqrt(variance + eps), and the variance (over rows, not rows - 1), or those given. relu: max(y, 0) instead of y.
struct BatchNorm {
  int64_t rows, c;
  const float *x, *weight, *bias;
  const float *mean, *variance;  // (c); both null: those of x
  double eps;
  bool relu;
  float* statistics;
  float* y;
  float* workspace;
};
// db (c) = sum over rows of dy, dw (c) = that of dy * (x - mean) * rstd. dx from these sums, or, where `fixed` (mean
// and variance did not come from x), just dy * rstd * weight. relu: dy counts where y, computed once more from x, is
// positive; only then bias is read.
struct BatchNormBackward {
  int64_t rows, c;
  const float *x, *dy, *weight, *bias, *statistics;
  bool fixed, relu;
  float *dx, *dw, *db;  // null: not wanted
  float* workspace;
};

struct NormKernels {
  Kernel<BatchNorm> batchnorm_forward;
  Kernel<BatchNormBackward> batchnorm_backward;
};

}  // namespace fastnn

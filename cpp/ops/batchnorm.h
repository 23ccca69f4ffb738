// batchnorm: y = (x - mean) / sqrt(variance + eps) * weight + bias, a channel at a time, and its gradients.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// x and y (rows, c), C-contiguous; weight, bias (c) or none; mean and variance (c), or none of both: those of x.
// statistics (4, c): what backward wants of them. relu: max(y, 0) instead of y.
void batchnorm_forward(Steps& steps, const Floats& x, const Floats& weight, const Floats& bias, const Floats& mean,
                       const Floats& variance, double eps, bool relu, const Output& y, const Output& statistics);

// dx (rows, c), dweight, dbias (c): each or none. fixed: mean and variance did not come from x.
void batchnorm_backward(Steps& steps, const Floats& dy, const Floats& x, const Floats& weight, const Floats& bias,
                        const Floats& statistics, bool fixed, bool relu, const Output& dx, const Output& dweight,
                        const Output& dbias);

}  // namespace fastnn

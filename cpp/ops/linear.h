// linear: y (rows, out) = x (rows, in) . weight (out, in) transposed + bias (out), and its gradients.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// x, dy and weight: any strides; y, dx and the gradient of the bias C-contiguous; bias or none. They throw
// std::length_error where sizes are too large. relu: y = max(y, 0) of that.
void linear_forward(Steps& steps, const Floats& x, const Weight& weight, const Floats& bias, bool relu,
                    const Output& y);

// Each of dx, dweight and dbias, or none; dweight with its rows or its columns dense. dy C-contiguous.
void linear_backward(Steps& steps, const Floats& x, const Weight& weight, const Floats& dy, const Output& dx,
                     const Output& dweight, const Output& dbias);

}  // namespace fastnn

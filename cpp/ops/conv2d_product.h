// The three products of a convolution that is one (conv2d_fold.h).
#pragma once
#include "ops/conv2d_fold.h"
#include "ops/steps.h"

namespace fastnn {

void product_forward(Steps& steps, const Fold& fold, const float* x, const Weight& weight, const Floats& bias,
                     float* y);
void product_backward_input(Steps& steps, const Fold& fold, const float* dy, const Weight& weight, float* dx);
void product_backward_weight(Steps& steps, const Fold& fold, const float* x, const float* dy, float* dw);

}  // namespace fastnn

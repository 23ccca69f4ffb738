// softmax: of each row, or its logarithm, and its gradient.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// All (rows, columns), C-contiguous.
void softmax_forward(Steps& steps, bool log, const Floats& x, const Output& y);
void softmax_backward(Steps& steps, bool log, const Floats& y, const Floats& dy, const Output& dx);

}  // namespace fastnn

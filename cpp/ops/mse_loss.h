// mse_loss: the sum of squared differences times `scale`, and its gradient.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// x and target: flat. total (1); losses, the squares, and dx of the size of x, or none.
void mse_loss(Steps& steps, double scale, const Floats& x, const Floats& target, const Output& total,
              const Output& losses, const Output& dx);

}  // namespace fastnn

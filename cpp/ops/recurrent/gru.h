// gru: one layer through time, and its gradients; the formulas are in contract/recurrent.h.
#pragma once
#include "ops/recurrent/gradients.h"
#include "ops/recurrent/layer.h"
#include "ops/steps.h"

namespace fastnn {

// y (T, N, D * H) or packed; h_n and h0 (D, N, H), the latter or none. kept: of each direction gates (rows, 3 H) after
// their nonlinearities and m (rows, H), the product that the reset gate multiplies.
void gru_forward(Steps& steps, const Layer& layer, const Floats& h0, const Output& y, const Output& h_n,
                 const Kept& kept);

// dh (D, N, H): of h_n, or none; dh0 is what of it reaches h0. kept gates and m become their gradients.
void gru_backward(Steps& steps, const Layer& layer, const Floats& h0, const Floats& y, const Kept& kept,
                  const Floats& dy, const Floats& dh, const Output& dh0, const Gradients& wanted);

}  // namespace fastnn

// lstm: one layer through time, and its gradients; the formulas are in contract/recurrent.h.
#pragma once
#include "ops/recurrent/gradients.h"
#include "ops/recurrent/layer.h"
#include "ops/steps.h"

namespace fastnn {

// y (T, N, D * H) or packed; h_n, c_n, h0, c0 (D, N, H), the latter or none. kept: of each direction gates (rows, 4 H)
// after their nonlinearities and c (rows, H).
void lstm_forward(Steps& steps, const Layer& layer, const Floats& h0, const Floats& c0, const Output& y,
                  const Output& h_n, const Output& c_n, const Kept& kept);

// dh, dc (D, N, H): of the last states, or none; dh0, dc0 are what of them reaches the first. kept gates become their
// gradient.
void lstm_backward(Steps& steps, const Layer& layer, const Floats& h0, const Floats& c0, const Floats& y,
                   const Kept& kept, const Floats& dy, const Floats& dh, const Floats& dc, const Output& dh0,
                   const Output& dc0, const Gradients& wanted);

}  // namespace fastnn

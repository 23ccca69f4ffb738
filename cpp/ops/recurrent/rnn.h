// rnn: h = tanh or relu of (x . weight_ih^T + bias_ih + h . weight_hh^T + bias_hh) through time, and its gradients.
#pragma once
#include "ops/recurrent/gradients.h"
#include "ops/recurrent/layer.h"
#include "ops/steps.h"

namespace fastnn {

// y (T, N, D * H) or packed, h_n (D, N, H); h0 (D, N, H) or none.
void rnn_forward(Steps& steps, const Layer& layer, const Floats& h0, bool relu, const Output& y, const Output& h_n);

// dh (D, N, H): of h_n, or none; dh0 is what of it reaches h0.
void rnn_backward(Steps& steps, const Layer& layer, const Floats& h0, bool relu, const Floats& y, const Floats& dy,
                  const Floats& dh, const Output& dh0, const Gradients& wanted);

}  // namespace fastnn

// gru_variant: gru with the reset gate before the product, zoneout or recurrent dropout; formulas in
// contract/recurrent.h.
#pragma once
#include "ops/recurrent/gradients.h"
#include "ops/recurrent/layer.h"
#include "ops/steps.h"

namespace fastnn {

// Masks (D, rows, H), or (D, 1, H) for all rows; none: off.
struct GruOptions {
  bool reset_after;
  Floats zone, drop;
};

// As gru_forward and gru_backward.
void gru_variant_forward(Steps& steps, const Layer& layer, const Floats& h0, const GruOptions& options, const Output& y,
                         const Output& h_n, const Kept& kept);
void gru_variant_backward(Steps& steps, const Layer& layer, const Floats& h0, const GruOptions& options,
                          const Floats& y, const Kept& kept, const Floats& dy, const Floats& dh, const Output& dh0,
                          const Gradients& wanted);

}  // namespace fastnn

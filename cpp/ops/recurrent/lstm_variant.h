// lstm_variant: lstm with any of the options of contract/recurrent.h, and its gradients.
#pragma once
#include <vector>

#include "ops/recurrent/gradients.h"
#include "ops/recurrent/layer.h"
#include "ops/steps.h"

namespace fastnn {

// One direction: (P, H), (3, H), (G * H), (G * H), (H), (H), each or none; the three norms together or none.
struct LstmExtras {
  Weight hr;
  Floats peephole, norm_x, norm_h, norm_c, bias_c;
};

// Masks (D, rows, columns), or (D, 1, columns) for all rows, with H, P and H columns; none: off.
struct LstmOptions {
  bool coupled;
  float clip;
  Floats zone_c, zone_h, drop;
};

// The layer with what forward and backward are given alike, checked.
struct LstmVariantLayer {
  LstmVariantLayer(const char* op, const Floats& x, const Ints& batch_sizes, const std::vector<Weight>& weights,
                   const std::vector<LstmExtras>& extras, const LstmOptions& options, bool reads_ih = true);

  // Columns of the gradients that are added up sample by sample: of the peepholes and norms, one after the other.
  int64_t sums() const;
  // Of one direction: gates, hat_x, hat_h, scale, c, m; those that are empty are not kept.
  std::vector<Sizes> kept_shapes(bool keep) const;
  LstmVariant walk(const int64_t* starts, int64_t direction, const Floats& h0, const Floats& c0) const;

  Layer layer;
  std::vector<LstmExtras> extras;
  LstmOptions options;
};

// y (T, N, D * P) or packed, h_n (D, N, P), c_n (D, N, H). kept: arrays of kept_shapes(true), of each direction.
void lstm_variant_forward(Steps& steps, const LstmVariantLayer& v, const Floats& h0, const Floats& c0, const Output& y,
                          const Output& h_n, const Output& c_n, const Kept& kept);

// As lstm_backward. Of each direction d_hr (P, H), where there is a weight_hr, and d_sums (sums()).
void lstm_variant_backward(Steps& steps, const LstmVariantLayer& v, const Floats& h0, const Floats& c0, const Floats& y,
                           const Kept& kept, const Floats& dy, const Floats& dh, const Floats& dc, const Output& dh0,
                           const Output& dc0, const Gradients& wanted, const std::vector<Output>& d_hr,
                           const std::vector<Output>& d_sums);

}  // namespace fastnn

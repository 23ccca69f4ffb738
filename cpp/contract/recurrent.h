// The contract of the recurrent layers; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- gru, lstm, rnn ------------------------------------------------------------------------------------------------
// One direction of one layer over n sequences (samples), packed: step i of t holds the rows [starts[i], starts[i + 1]),
// one for each sample longer than i, longest first, so that sample r is row r of each of its steps. reverse walks from
// the end of every sample to its beginning. Gates are (rows, gates, h) in torch's order, weight is w_hh (gates, h, h).
// On the way forward gates hold x . w_ih + biases. Rows of y and dy, (rows, h), are y_row and dy_row floats apart, so
// that they may be columns of a wider array. dh and dc (n, h) hold the gradient of the last states and are left with
// the first's.
struct Sequence {
  int64_t t, n, h;
  bool reverse;
  const int64_t* starts;  // (t + 1): from 0 to all rows, by n at first and never by more than before
};
// A part of the walk, so that gates can be made and used while they are in cache: steps [begin, end) in its order, and
// the first row of the packed ones that is in gates.
struct Stretch {
  int64_t begin, end, row;
};
// h = tanh or relu of (gates + h . w_hh).
struct RnnForward {
  Sequence s;
  Stretch part;
  bool relu;
  float* gates;
  const float* packed;  // b (h, h), w_hh transposed
  const float* h0;      // (n, h); null: zeros
  float* y;
  int64_t y_row;
};
struct RnnBackward {
  Sequence s;
  bool relu;
  const float *packed, *y;  // b (h, h)
  int64_t y_row;
  const float* dy;  // null: zeros
  int64_t dy_row;
  float* gates;  // out: their gradient
  float* dh;
};
// i, f, g, o; c = f c + i g, h = o tanh(c).
struct LstmForward {
  Sequence s;
  Stretch part;
  float* gates;          // out, where keep: after their nonlinearities
  const float* packed;   // by gates_pack
  const float *h0, *c0;  // (n, h); null: zeros
  float* c;              // (rows, h) where keep, else (n, h): the last of each sample
  float* y;
  int64_t y_row;
  bool keep;
};
struct LstmBackward {
  Sequence s;
  float* gates;  // as forward kept them; out: their gradient, before the nonlinearities
  const float *packed, *c0, *c;
  const float* dy;  // null: zeros
  int64_t dy_row;
  float *dh, *dc;
};
// r, z, n; m = h . w_hn + b_hn, n = tanh(gate + r m), h = (1 - z) n + z h.
struct GruForward {
  Sequence s;
  Stretch part;
  float* gates;                // out, where m is not null: after their nonlinearities
  const float *packed, *bias;  // by gates_pack; b_hn (h), null: zeros
  const float* h0;             // (n, h); null: zeros
  float* m;                    // (rows, h), or null: not kept
  float* y;
  int64_t y_row;
};
struct GruBackward {
  Sequence s;
  float *gates, *m;  // as forward kept them; out: their gradient, before the nonlinearities
  const float *packed, *h0, *y;
  int64_t y_row;
  const float* dy;  // null: zeros
  int64_t dy_row;
  float* dh;
};
// w_hh (gates, h, h), as forward of lstm and gru reads it.
struct GatesPack {
  int64_t h, gates;
  const float* weight;
};
// b (k, n) of any other product of a step: weight is (k, n), or (n, k) where transposed.
struct PanelPack {
  int64_t k, n;
  bool transposed;
  const float* weight;
};

// ---- gru_variant, lstm_variant -------------------------------------------------------------------------------------
// One direction of one layer as gru and lstm, with options; a null pointer is an option that is off. Rows of a mask are
// those of the packed rows, `row` floats apart, 0 where one row is for all: the part of a state that stays as it was
// (zone), or what the candidate is multiplied by (drop).
struct Mask {
  const float* data;
  int64_t row;
};
// With i = 1 - f where coupled, and a hat for what is normalised to mean 0 and variance 1 (else it is x . w_ih + biases
// and h . w_hh themselves, without gains):
//   z = norm_x hat(x . w_ih) + norm_h hat(h . w_hh) + bias; i and f see peephole c of the step before, o that of u
//   u = clipped f c + i (drop g), c = zone_c c + (1 - zone_c) u, m = o tanh(norm_c hat(u) + bias_c)
//   h = zone_h h + (1 - zone_h) m . w_hr
struct LstmVariant {
  Sequence s;                             // h: of c
  int64_t p;                              // width of h and y: that of w_hr, else s.h
  bool coupled;                           // gates are f, g, o; else i, f, g, o
  float clip;                             // infinity: off
  const float *w_hh, *w_hr;               // packed: forward (p, gates h) and (h, p), backward (gates h, p) and (p, h)
  const float* peephole;                  // (3, h)
  const float *norm_x, *norm_h, *norm_c;  // (gates h), (gates h), (h): all or none
  const float *bias, *bias_c;             // (gates h), (h): of the norms; null: zeros
  Mask zone_c, zone_h, drop;              // rows of h, p and h
  const float *h0, *c0;                   // (n, p), (n, h); null: zeros
  float* gates;                           // (rows, gates h): out, where keep: after their nonlinearities
  float *hat_x, *hat_h;                   // out, with norms: (rows, gates h)
  float* scale;                           // out, with norms: (rows, 2), 1 / deviation of both
  float* c;                               // (rows, h) where keep, else (n, h): the last of each sample
  float* m;                               // (rows, h) with w_hr
};
struct LstmVariantForward : LstmVariant {
  float* y;
  int64_t y_row;
  Stretch part;  // gates, hat_x, hat_h, scale and m begin at part.row
  bool keep;
};
// As forward kept them; gates become the gradient of z, hat_x and hat_h that of the products.
struct LstmVariantBackward : LstmVariant {
  const float* y;
  int64_t y_row;
  const float* dy;  // null: zeros
  int64_t dy_row;
  float* dp;  // out, with w_hr: (rows, p), the gradient of m . w_hr
  float *dh, *dc;
  float *d_peephole, *d_norm_x, *d_norm_h, *d_norm_c, *d_bias_c;  // one row for each sample, which is added to
  int64_t sums_row;                                               // between these rows
  float* workspace;
};
// r, z, n; n = tanh(gate + m . w_hn) with m = r h, or, where reset_after, tanh(gate + r m) with m = h . w_hn + b_hn;
// h = zone h + (1 - zone) ((1 - z) (drop n) + z h).
struct GruVariant {
  Sequence s;
  bool reset_after;
  const float *w_rz, *w_n;  // packed: forward (h, 2 h) and (h, h), backward (2 h, h) and (h, h)
  const float* bias;        // b_hn (h), where reset_after; null: zeros
  Mask zone, drop;
  const float* h0;   // (n, h); null: zeros
  float *gates, *m;  // (rows, 3 h) and (rows, h); out: after their nonlinearities
};
struct GruVariantForward : GruVariant {
  float* y;
  int64_t y_row;
  Stretch part;  // gates and m begin at part.row
};
// As forward kept them; gates become their gradient, m too where reset_after.
struct GruVariantBackward : GruVariant {
  const float* y;
  int64_t y_row;
  const float* dy;  // null: zeros
  int64_t dy_row;
  float *dh, *workspace;
};

// ---- recurrent_step ------------------------------------------------------------------------------------------------
// One time step of one sample through one layer of gru, lstm or rnn, with the formulas above. Its vectors of h floats
// are written in whole: they have room for a multiple of kStatePadding floats, and what is beyond h is never used.
constexpr int64_t kStatePadding = 16;
enum class Cell { rnn_relu, rnn_tanh, gru, lstm };
struct RecurrentLayer {
  Cell cell;
  int64_t inputs, h;
};
struct RecurrentStepPack {
  RecurrentLayer layer;
  const float *weight_ih, *weight_hh;  // (gates, h, inputs), (gates, h, h)
  const float *bias_ih, *bias_hh;      // (gates, h); both null: zeros
};
struct RecurrentStep {
  RecurrentLayer layer;
  const float* packed;  // by recurrent_step_pack
  const float* x;       // (inputs)
  const float* before;  // (h); null: zeros
  float* c;             // (h), only of lstm: of the step before, out: of this one
  float* after;         // (h), other memory than before
};

struct RecurrentKernels {
  Packing<GatesPack> gates_pack;
  Packing<PanelPack> panel_pack;

  SteppedKernel<GruForward> gru_forward;
  SteppedKernel<GruBackward> gru_backward;

  SteppedKernel<GruVariantForward> gru_variant_forward;
  SteppedKernel<GruVariantBackward> gru_variant_backward;

  SteppedKernel<LstmForward> lstm_forward;
  SteppedKernel<LstmBackward> lstm_backward;

  SteppedKernel<LstmVariantForward> lstm_variant_forward;
  SteppedKernel<LstmVariantBackward> lstm_variant_backward;

  Packing<RecurrentStepPack> recurrent_step_pack;
  Kernel<RecurrentStep> recurrent_step;

  SteppedKernel<RnnForward> rnn_forward;
  SteppedKernel<RnnBackward> rnn_backward;
};

}  // namespace fastnn

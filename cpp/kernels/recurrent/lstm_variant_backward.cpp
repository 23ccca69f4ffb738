// lstm_variant_backward: the gradients of the walk of lstm_variant_forward, from the last step to the first. What a
// row computed is made again from its gates and c, with the same bits.
#include "contract/recurrent.h"
#include "core/math.h"
#include "normalise.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t gates_of(const LstmVariant& a) { return a.coupled ? 3 : 4; }

// (n, h) each: u, and the gradient of m.
int64_t workspace(const LstmVariantBackward& a) { return 2 * a.s.n * a.s.h; }
int64_t backward_steps(const LstmVariantBackward&) { return 1; }
int64_t backward_tasks(const LstmVariantBackward& a) { return sample_tasks(a.s, gates_of(a)); }

// One row of one step.
struct Row {
  float* gates;
  const float *zone_c, *drop, *c_before;
  float *u, *dm, *dc;  // dm: the gradient of m, then that of u
  int64_t sample;
};

[[gnu::always_inline]] inline void accumulate(float* sums, vf d, int64_t n) { store_n(sums, load_n(sums, n) + d, n); }

// f c + i (drop g), before it is clipped.
[[gnu::always_inline]] inline vf unclipped(const LstmVariant& a, const Row& r, int64_t i) {
  const int64_t h = a.s.h, lanes = h - i;
  const float* forget = r.gates + (gates_of(a) - 3) * h + i;
  const vf f = load_n(forget, lanes), g = load_n(forget + h, lanes);
  const vf in = a.coupled ? splat(1.0f) - f : load_n(r.gates + i, lanes);
  return fma(f, load_or_zero(r.c_before, i, h), in * (r.drop ? g * load_n(r.drop + i, lanes) : g));
}

void make_u(const LstmVariant& a, const Row& r) {
  const vf clip = splat(a.clip);
  for (int64_t i = 0; i < a.s.h; i += kLanes) {
    vf now = unclipped(a, r, i);
    now = now > clip ? clip : now;
    now = now < -clip ? -clip : now;
    store_n(r.u + i, now, a.s.h - i);
  }
}

// m = o tanh(norm_c hat(u) + bias_c): o becomes the gradient of its z, dm that of u, but for peepholes and c.
void hidden_backward(const LstmVariantBackward& a, const Row& r) {
  const int64_t h = a.s.h;
  const Statistics s = a.norm_c ? statistics(r.u, h) : Statistics{0, 1};
  const vf one = splat(1.0f), mean = splat(s.mean), scale = splat(s.scale);
  float* out = r.gates + (gates_of(a) - 1) * h;
  vf plain = {}, along = {};
  for (int64_t i = 0; i < h; i += kLanes) {
    const int64_t lanes = h - i;
    const vf hat = (load_n(r.u + i, lanes) - mean) * scale;
    const vf x = a.norm_c ? fma(load_n(a.norm_c + i, lanes), hat, load_or_zero(a.bias_c, i, h)) : hat;
    const vf squashed = tanh(x), d = load_n(r.dm + i, lanes), o = load_n(out + i, lanes);
    const vf dx = d * o * (one - squashed * squashed);
    store_n(out + i, d * squashed * o * (one - o), lanes);
    store_n(r.dm + i, dx, lanes);
    if (!a.norm_c) continue;
    const vf scaled = dx * load_n(a.norm_c + i, lanes);
    plain = plain + scaled;
    along = fma(scaled, hat, along);
    accumulate(a.d_norm_c + r.sample * a.sums_row + i, dx * hat, lanes);
    accumulate(a.d_bias_c + r.sample * a.sums_row + i, dx, lanes);
  }
  if (!a.norm_c) return;
  const vf level = splat(sum(plain) / (float)h), slope = splat(sum(along) / (float)h);
  for (int64_t i = 0; i < h; i += kLanes) {
    const vf hat = (load_n(r.u + i, h - i) - mean) * scale;
    const vf scaled = load_n(r.dm + i, h - i) * load_n(a.norm_c + i, h - i);
    store_n(r.dm + i, scale * (scaled - fma(hat, slope, level)), h - i);
  }
}

// The other gates become the gradients of their z, dc that of the step before.
void cell_backward(const LstmVariantBackward& a, const Row& r) {
  const int64_t h = a.s.h;
  const vf one = splat(1.0f), clip = splat(a.clip);
  float *forget = r.gates + (gates_of(a) - 3) * h, *cell = forget + h, *out = cell + h;
  const float *see_i = a.peephole, *see_f = see_i ? see_i + h : nullptr, *see_o = see_i ? see_f + h : nullptr;
  float* seen = see_i ? a.d_peephole + r.sample * a.sums_row : nullptr;
  for (int64_t i = 0; i < h; i += kLanes) {
    const int64_t lanes = h - i;
    const vf f = load_n(forget + i, lanes), g = load_n(cell + i, lanes), dzo = load_n(out + i, lanes);
    const vf in = a.coupled ? one - f : load_n(r.gates + i, lanes);
    const vf before = load_or_zero(r.c_before, i, h), drop = r.drop ? load_n(r.drop + i, lanes) : one;
    const vf kept = load_or_zero(r.zone_c, i, h), dc = load_n(r.dc + i, lanes);
    vf du = fma(one - kept, dc, fma(load_or_zero(see_o, i, h), dzo, load_n(r.dm + i, lanes)));
    du = abs(unclipped(a, r, i)) > clip ? vf{} : du;
    const vf di = du * g * drop;
    const vf dzf = (a.coupled ? fma(du, before, -di) : du * before) * f * (one - f);
    const vf dzi = a.coupled ? vf{} : di * in * (one - in);
    vf back = fma(kept, dc, du * f);
    if (seen) {
      back = fma(load_n(see_f + i, lanes), dzf, fma(load_n(see_i + i, lanes), dzi, back));
      accumulate(seen + i, dzi * before, lanes);
      accumulate(seen + h + i, dzf * before, lanes);
      accumulate(seen + 2 * h + i, dzo * load_n(r.u + i, lanes), lanes);
    }
    if (!a.coupled) store_n(r.gates + i, dzi, lanes);
    store_n(forget + i, dzf, lanes);
    store_n(cell + i, du * in * drop * (one - g * g), lanes);
    store_n(r.dc + i, back, lanes);
  }
}

// Rows [from, to) of a step, all of which go on from the step before or none.
void block(const LstmVariantBackward& a, int64_t start, int64_t before, int64_t from, int64_t to) {
  const int64_t h = a.s.h, width = gates_of(a) * h;
  float *u = a.workspace, *all_dm = u + a.s.n * h, *dp = a.w_hr ? a.dp + (start + from) * a.p : all_dm + from * h;
  for (int64_t row = from; row < to; ++row)
    unzone_row(mask_row(a.zone_h, start + row), a.dy ? a.dy + (start + row) * a.dy_row : nullptr, a.dh + row * a.p,
               dp + (row - from) * a.p, a.p);
  float* dm = all_dm + from * h;  // without w_hr the same as dp
  if (a.w_hr) step_product(dp, a.p, a.p, a.w_hr, false, dm, h, h, to - from);
  for (int64_t row = from; row < to; ++row) {
    const int64_t at = start + row;
    const Row r{
        a.gates + at * width, mask_row(a.zone_c, at), mask_row(a.drop, at), row_before(a.c0, h, a.c, h, before, row),
        u + row * h,          dm + (row - from) * h,  a.dc + row * h,       row};
    make_u(a, r);
    hidden_backward(a, r);
    cell_backward(a, r);
    if (!a.hat_h) continue;
    normalise_backward(r.gates, a.norm_x, a.scale[at * 2], a.hat_x + at * width, a.d_norm_x + row * a.sums_row, width);
    normalise_backward(r.gates, a.norm_h, a.scale[at * 2 + 1], a.hat_h + at * width, a.d_norm_h + row * a.sums_row,
                       width);
  }
  const float* product = (a.hat_h ? a.hat_h : a.gates) + (start + from) * width;
  step_product(product, width, width, a.w_hh, a.zone_h.data, a.dh + from * a.p, a.p, a.p, to - from);
}

void backward(const LstmVariantBackward& a, int64_t, int64_t begin, int64_t end) {
  const int64_t first = task_sample(a.s, whole(a.s), gates_of(a), begin),
                last = task_sample(a.s, whole(a.s), gates_of(a), end);
  for (int64_t step = a.s.t; step-- > 0;) {
    const int64_t start = a.s.starts[time_of(a.s, step)];
    for_samples(a.s, step, first, last, [&](int64_t from, int64_t to, int64_t before) {
      for_blocks(from, to, [&](int64_t row, int64_t stop) { block(a, start, before, row, stop); });
    });
  }
}

}  // namespace

void add_lstm_variant_backward(RecurrentKernels& k) {
  k.lstm_variant_backward = {backward_steps, backward_tasks, backward, workspace, &LstmVariantBackward::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

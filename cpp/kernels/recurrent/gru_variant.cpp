// gru_variant: one direction of one layer with the options of GruVariant, after the input product, forward and
// backward. A task is some samples through the whole walk; a step goes block by block of rows, whose gates stay in
// cache. See recurrent.h for tasks and panel.h for panels.
#include "contract/recurrent.h"
#include "core/math.h"
#include "variant.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kGates = 3;

int64_t forward_steps(const GruVariantForward&) { return 1; }
int64_t forward_tasks(const GruVariantForward& a) { return sample_tasks(a.s, kGates); }

// r, and m = r h where the reset comes before the product.
void reset_row(const GruVariant& a, float* gates, const float* h_before, float* m) {
  const int64_t h = a.s.h;
  for (int64_t i = 0; i < h; i += kLanes) {
    const vf r = sigmoid(load_n(gates + i, h - i));
    store_n(gates + i, r, h - i);
    if (!a.reset_after) store_n(m + i, r * load_or_zero(h_before, i, h), h - i);
  }
}

// z, n and y.
void update_row(const GruVariant& a, float* gates, const float* m, const float* drop, const float* h_before, float* y) {
  const int64_t h = a.s.h;
  for (int64_t i = 0; i < h; i += kLanes) {
    const int64_t lanes = h - i;
    const vf update = sigmoid(load_n(gates + h + i, lanes)), early = load_n(gates + 2 * h + i, lanes);
    const vf fresh = tanh(a.reset_after ? fma(load_n(gates + i, lanes), load_n(m + i, lanes), early) : early);
    const vf candidate = drop ? fresh * load_n(drop + i, lanes) : fresh;
    store_n(y + i, fma(update, load_or_zero(h_before, i, h) - candidate, candidate), lanes);
    store_n(gates + h + i, update, lanes);
    store_n(gates + 2 * h + i, fresh, lanes);
  }
}

// Rows [from, to) of a step: `start` where its rows begin among all, `local` among those of the stretch.
void block(const GruVariantForward& a, int64_t start, int64_t local, int64_t before, int64_t from, int64_t to) {
  const int64_t h = a.s.h, h_row = before < 0 ? h : a.y_row;
  const float* h_before = row_before(a.h0, h, a.y, a.y_row, before, from);
  float *gates = a.gates + (local + from) * kGates * h, *m = a.m + (local + from) * h;
  float* y = a.y + (start + from) * a.y_row;
  step_product(h_before, h_row, h, a.w_rz, true, gates, kGates * h, 2 * h, to - from);
  for (int64_t row = 0; row < to - from; ++row) {
    reset_row(a, gates + row * kGates * h, h_before ? h_before + row * h_row : nullptr, m + row * h);
    for (int64_t i = 0; a.reset_after && i < h; i += kLanes)
      store_n(m + row * h + i, load_or_zero(a.bias, i, h), h - i);
  }
  if (a.reset_after)
    step_product(h_before, h_row, h, a.w_n, true, m, h, h, to - from);
  else
    step_product(m, h, h, a.w_n, true, gates + 2 * h, kGates * h, h, to - from);
  for (int64_t row = 0; row < to - from; ++row) {
    const float* old = h_before ? h_before + row * h_row : nullptr;
    const int64_t all = start + from + row;
    update_row(a, gates + row * kGates * h, m + row * h, mask_row(a.drop, all), old, y + row * a.y_row);
    if (a.zone.data) zone_row(mask_row(a.zone, all), old, y + row * a.y_row, h);
  }
}

void forward(const GruVariantForward& a, int64_t, int64_t begin, int64_t end) {
  const int64_t first = task_sample(a.s, a.part, kGates, begin), last = task_sample(a.s, a.part, kGates, end);
  for (int64_t step = a.part.begin; step < a.part.end; ++step) {
    const int64_t start = a.s.starts[time_of(a.s, step)];
    for_samples(a.s, step, first, last, [&](int64_t from, int64_t to, int64_t before) {
      for_blocks(from, to, [&](int64_t row, int64_t stop) { block(a, start, start - a.part.row, before, row, stop); });
    });
  }
}

int64_t workspace(const GruVariantBackward& a) { return a.reset_after ? 0 : a.s.n * a.s.h; }
int64_t backward_steps(const GruVariantBackward&) { return 1; }
int64_t backward_tasks(const GruVariantBackward& a) { return sample_tasks(a.s, kGates); }

// One row of one step: n and z become gradients; dh what reaches the step before past the gates. With reset_after r
// and m too.
void update_backward(const GruVariantBackward& a, int64_t all, const float* h_before, float* dh) {
  const int64_t h = a.s.h;
  const vf one = splat(1.0f);
  const float *zones = mask_row(a.zone, all), *drops = mask_row(a.drop, all);
  const float* dy = a.dy ? a.dy + all * a.dy_row : nullptr;
  for (int64_t i = 0; i < h; i += kLanes) {
    const int64_t lanes = h - i;
    float *gates = a.gates + all * kGates * h + i, *m = a.m + all * h + i;
    const vf r = load_n(gates, lanes), z = load_n(gates + h, lanes), n = load_n(gates + 2 * h, lanes);
    const vf drop = drops ? load_n(drops + i, lanes) : one, kept = load_or_zero(zones, i, h);
    const vf total = load_n(dh + i, lanes) + load_or_zero(dy, i, h), d = (one - kept) * total;
    const vf dn = d * (one - z) * drop * (one - n * n);
    store_n(gates + h, d * (load_or_zero(h_before, i, h) - n * drop) * z * (one - z), lanes);
    store_n(gates + 2 * h, dn, lanes);
    store_n(dh + i, fma(kept, total, d * z), lanes);
    if (!a.reset_after) continue;
    store_n(gates, dn * load_n(m, lanes) * r * (one - r), lanes);
    store_n(m, dn * r, lanes);
  }
}

// One row, from dm, the gradient of r h.
void reset_backward(const GruVariantBackward& a, float* gates, const float* dm, const float* h_before, float* dh) {
  const int64_t h = a.s.h;
  for (int64_t i = 0; i < h; i += kLanes) {
    const vf r = load_n(gates + i, h - i), d = load_n(dm + i, h - i);
    store_n(gates + i, d * load_or_zero(h_before, i, h) * r * (splat(1.0f) - r), h - i);
    store_n(dh + i, fma(d, r, load_n(dh + i, h - i)), h - i);
  }
}

void block_backward(const GruVariantBackward& a, int64_t start, int64_t before, int64_t from, int64_t to) {
  const int64_t h = a.s.h;
  float *gates = a.gates + (start + from) * kGates * h, *dh = a.dh + from * h;
  float* dm = a.workspace;  // (n, h), the gradient of m
  for (int64_t row = from; row < to; ++row)
    update_backward(a, start + row, row_before(a.h0, h, a.y, a.y_row, before, row), a.dh + row * h);
  if (a.reset_after) {
    step_product(a.m + (start + from) * h, h, h, a.w_n, true, dh, h, h, to - from);
  } else {
    step_product(gates + 2 * h, kGates * h, h, a.w_n, false, dm + from * h, h, h, to - from);
    for (int64_t row = from; row < to; ++row)
      reset_backward(a, gates + (row - from) * kGates * h, dm + row * h, row_before(a.h0, h, a.y, a.y_row, before, row),
                     a.dh + row * h);
  }
  step_product(gates, kGates * h, 2 * h, a.w_rz, true, dh, h, h, to - from);
}

void backward(const GruVariantBackward& a, int64_t, int64_t begin, int64_t end) {
  const int64_t first = task_sample(a.s, whole(a.s), kGates, begin), last = task_sample(a.s, whole(a.s), kGates, end);
  for (int64_t step = a.s.t; step-- > 0;) {
    const int64_t start = a.s.starts[time_of(a.s, step)];
    for_samples(a.s, step, first, last, [&](int64_t from, int64_t to, int64_t before) {
      for_blocks(from, to, [&](int64_t row, int64_t stop) { block_backward(a, start, before, row, stop); });
    });
  }
}

}  // namespace

void add_gru_variant(RecurrentKernels& k) {
  k.gru_variant_forward = {forward_steps, forward_tasks, forward};
  k.gru_variant_backward = {backward_steps, backward_tasks, backward, workspace, &GruVariantBackward::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

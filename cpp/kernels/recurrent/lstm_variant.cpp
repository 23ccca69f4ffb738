// lstm_variant_forward: one direction of one layer with any of the options of LstmVariant, after the input product. A
// task is some samples through the whole walk; a step goes block by block of rows: the product of all gates, then what
// a row needs while its gates are in cache. See recurrent.h for tasks and panel.h for panels.
#include "contract/recurrent.h"
#include "core/math.h"
#include "normalise.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t gates_of(const LstmVariant& a) { return a.coupled ? 3 : 4; }

int64_t forward_steps(const LstmVariantForward&) { return 1; }
int64_t forward_tasks(const LstmVariantForward& a) { return sample_tasks(a.s, gates_of(a)); }

// The rows of a step: where they begin among all, among those of the stretch, and those of the step before (-1: none).
struct Step {
  int64_t start, local, before;
};

// gates = norm_x hat(gates) + norm_h hat(hat_h) + bias of one row.
void normalise_gates(const LstmVariant& a, float* gates, float* hat_x, float* hat_h, float* scale, int64_t n) {
  scale[0] = normalise(gates, hat_x, n);
  scale[1] = normalise(hat_h, hat_h, n);
  for (int64_t i = 0; i < n; i += kLanes) {
    const vf h = fma(load_n(a.norm_h + i, n - i), load_n(hat_h + i, n - i), load_or_zero(a.bias, i, n));
    store_n(gates + i, fma(load_n(a.norm_x + i, n - i), load_n(hat_x + i, n - i), h), n - i);
  }
}

// gates of one row after their nonlinearities, u and c. c may be c_before.
void cell_row(const LstmVariant& a, float* gates, const float* zone_c, const float* drop, const float* c_before,
              float* c, float* u) {
  const int64_t h = a.s.h;
  float *forget = gates + (gates_of(a) - 3) * h, *cell = forget + h, *out = cell + h;
  const float *see_i = a.peephole, *see_f = see_i ? see_i + h : nullptr, *see_o = see_i ? see_f + h : nullptr;
  const vf clip = splat(a.clip);
  for (int64_t i = 0; i < h; i += kLanes) {
    const int64_t lanes = h - i;
    const vf before = load_or_zero(c_before, i, h);
    const vf f = sigmoid(fma(load_or_zero(see_f, i, h), before, load_n(forget + i, lanes)));
    vf in = splat(1.0f) - f;
    if (!a.coupled) {
      in = sigmoid(fma(load_or_zero(see_i, i, h), before, load_n(gates + i, lanes)));
      store_n(gates + i, in, lanes);
    }
    const vf g = tanh(load_n(cell + i, lanes));
    vf now = fma(f, before, in * (drop ? g * load_n(drop + i, lanes) : g));
    now = now > clip ? clip : now;
    now = now < -clip ? -clip : now;
    const vf o = sigmoid(fma(load_or_zero(see_o, i, h), now, load_n(out + i, lanes)));
    store_n(forget + i, f, lanes);
    store_n(cell + i, g, lanes);
    store_n(out + i, o, lanes);
    store_n(u + i, now, lanes);
    store_n(c + i, zone_c ? zone(load_n(zone_c + i, lanes), before, now) : now, lanes);
  }
}

// u of one row becomes m.
void hidden_row(const LstmVariant& a, const float* out, float* u) {
  const int64_t h = a.s.h;
  const Statistics s = a.norm_c ? statistics(u, h) : Statistics{0, 1};
  for (int64_t i = 0; i < h; i += kLanes) {
    vf x = load_n(u + i, h - i);
    if (a.norm_c)
      x = fma(load_n(a.norm_c + i, h - i), (x - splat(s.mean)) * splat(s.scale), load_or_zero(a.bias_c, i, h));
    store_n(u + i, load_n(out + i, h - i) * tanh(x), h - i);
  }
}

// Rows [from, to) of a step, all of which go on from the step before or none.
void block(const LstmVariantForward& a, const Step& now, int64_t from, int64_t to) {
  const int64_t h = a.s.h, width = gates_of(a) * h, local = now.local + from;
  float* product = (a.hat_h ? a.hat_h : a.gates) + local * width;
  step_product(row_before(a.h0, a.p, a.y, a.y_row, now.before, from), now.before < 0 ? a.p : a.y_row, a.p, a.w_hh,
               !a.hat_h, product, width, width, to - from);
  float* c = a.c + (a.keep ? now.start : 0) * h;
  const int64_t c_before = now.before < 0 || a.keep ? now.before : 0;
  for (int64_t row = from; row < to; ++row) {
    const int64_t at = now.local + row, all = now.start + row;
    float *gates = a.gates + at * width, *u = a.w_hr ? a.m + at * h : a.y + all * a.y_row;
    if (a.hat_h) normalise_gates(a, gates, a.hat_x + at * width, a.hat_h + at * width, a.scale + at * 2, width);
    cell_row(a, gates, mask_row(a.zone_c, all), mask_row(a.drop, all), row_before(a.c0, h, a.c, h, c_before, row),
             c + row * h, u);
    hidden_row(a, gates + width - h, u);
  }
  float* y = a.y + (now.start + from) * a.y_row;
  if (a.w_hr) step_product(a.m + local * h, h, h, a.w_hr, false, y, a.y_row, a.p, to - from);
  for (int64_t row = from; a.zone_h.data && row < to; ++row)
    zone_row(mask_row(a.zone_h, now.start + row), row_before(a.h0, a.p, a.y, a.y_row, now.before, row),
             y + (row - from) * a.y_row, a.p);
}

void forward(const LstmVariantForward& a, int64_t, int64_t begin, int64_t end) {
  const int64_t first = task_sample(a.s, a.part, gates_of(a), begin), last = task_sample(a.s, a.part, gates_of(a), end);
  for (int64_t step = a.part.begin; step < a.part.end; ++step) {
    const int64_t start = a.s.starts[time_of(a.s, step)];
    for_samples(a.s, step, first, last, [&](int64_t from, int64_t to, int64_t before) {
      for_blocks(from, to,
                 [&](int64_t row, int64_t stop) { block(a, {start, start - a.part.row, before}, row, stop); });
    });
  }
}

}  // namespace

void add_lstm_variant(RecurrentKernels& k) { k.lstm_variant_forward = {forward_steps, forward_tasks, forward}; }

}  // namespace FASTNN_ISA
}  // namespace fastnn

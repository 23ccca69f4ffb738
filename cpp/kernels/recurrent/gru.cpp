// gru: one direction of one layer through time, after the input product. See recurrent.h for tasks and panels.
// The reset gate is applied after the product (Cho et al. 2014 as in cuDNN and torch), so n keeps a second bias.
#include "contract/recurrent.h"
#include "core/math.h"
#include "recurrent.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kGates = 3;

int64_t forward_steps(const GruForward& a) { return by_units(a.s, kGates) ? a.part.end - a.part.begin : 1; }
int64_t forward_tasks(const GruForward& a) { return walk_tasks(a.s, kGates, vectors_of(a.s.h)); }

// What a tile of rows of one step reads and writes, all at the first row and the first unit of the tile.
struct Step {
  const float* h_before;  // the whole row; null: zeros
  int64_t h_row, unit;
  float *gates, *m, *y;  // m null: not kept
};

template <int R>
void forward_tile(const GruForward& a, const Step& s, const float* panel, int64_t lanes) {
  const int64_t h = a.s.h;
  vf acc[R][kGates];
  const vf bias = a.bias ? load_n(a.bias + s.unit, lanes) : vf{};
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    acc[i][0] = load_n(s.gates + i * kGates * h, lanes);
    acc[i][1] = load_n(s.gates + (i * kGates + 1) * h, lanes);
    acc[i][2] = bias;
  }
  multiply_add(acc, s.h_before, s.h_row, 1, panel, kGates * kLanes, s.h_before ? h : 0);
  float z[R][kGates][kLanes];  // so that the loop below need not be unrolled, which keeps acc in registers above
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int g = 0; g < kGates; ++g) store(z[i][g], acc[i][g]);
#pragma GCC unroll 1
  for (int i = 0; i < R; ++i) {
    float* gates = s.gates + i * kGates * h;
    const vf reset = sigmoid(load(z[i][0])), update = sigmoid(load(z[i][1])), m = load(z[i][2]);
    const vf fresh = tanh(fma(reset, m, load_n(gates + 2 * h, lanes)));
    const vf before = s.h_before ? load_n(s.h_before + i * s.h_row + s.unit, lanes) : vf{};
    store_n(s.y + i * a.y_row, fma(update, before - fresh, fresh), lanes);
    if (!s.m) continue;
    store_n(gates, reset, lanes);
    store_n(gates + h, update, lanes);
    store_n(gates + 2 * h, fresh, lanes);
    store_n(s.m + i * h, m, lanes);
  }
}

void forward(const GruForward& a, int64_t step, int64_t begin, int64_t end) {
  const int64_t h = a.s.h;
  walk_forward(a.s, a.part, kGates, vectors_of(h), step, begin, end,
               [&](int64_t now, int64_t first, int64_t last, int64_t v, int64_t last_v) {
                 const int64_t start = a.s.starts[time_of(a.s, now)];
                 float* gates = a.gates + (start - a.part.row) * kGates * h;
                 for (; v < last_v; ++v) {
                   const int64_t unit = v * kLanes;
                   for_samples(a.s, now, first, last, [&](int64_t from, int64_t to, int64_t before) {
                     for_tiles(from, to, [&](int64_t row, auto height) {
                       const Step s{row_before(a.h0, h, a.y, a.y_row, before, row),
                                    before < 0 ? h : a.y_row,
                                    unit,
                                    gates + row * kGates * h + unit,
                                    a.m ? a.m + (start + row) * h + unit : nullptr,
                                    a.y + (start + row) * a.y_row + unit};
                       forward_tile<decltype(height)::value>(a, s, a.packed + unit * kGates * h, h - unit);
                     });
                   });
                 }
               });
}

int64_t backward_steps(const GruBackward& a) { return by_units(a.s, kGates) ? a.s.t + 1 : 1; }
int64_t backward_tasks(const GruBackward& a) { return walk_tasks(a.s, kGates, panels_of(a.s.h)); }

// The units [unit, last) of one row of one step: gates and m become their gradients, dh what reaches the step before
// past the gates.
void backward_row(int64_t h, int64_t unit, int64_t last, float* gates, float* m, const float* h_before, const float* dy,
                  float* dh) {
  const vf one = splat(1.0f);
  for (; unit < last; unit += kLanes) {
    const int64_t lanes = h - unit;
    float* g = gates + unit;
    const vf reset = load_n(g, lanes), update = load_n(g + h, lanes), fresh = load_n(g + 2 * h, lanes);
    const vf before = h_before ? load_n(h_before + unit, lanes) : vf{};
    const vf d = gradient_of_h(dh + unit, dy ? dy + unit : nullptr, lanes);
    const vf d_fresh = d * (one - update) * (one - fresh * fresh);
    store_n(g, d_fresh * load_n(m + unit, lanes) * reset * (one - reset), lanes);
    store_n(g + h, d * (before - fresh) * update * (one - update), lanes);
    store_n(g + 2 * h, d_fresh, lanes);
    store_n(m + unit, d_fresh * reset, lanes);
    store_n(dh + unit, d * update, lanes);
  }
}

void backward(const GruBackward& a, int64_t step, int64_t begin, int64_t end) {
  const int64_t h = a.s.h;
  const auto gates = [&](int64_t now, int64_t first, int64_t last, int64_t unit, int64_t last_unit) {
    const int64_t start = a.s.starts[time_of(a.s, now)];
    for_samples(a.s, now, first, last, [&](int64_t from, int64_t to, int64_t before) {
      for (int64_t row = from; row < to; ++row)
        backward_row(h, unit, last_unit, a.gates + (start + row) * kGates * h, a.m + (start + row) * h,
                     row_before(a.h0, h, a.y, a.y_row, before, row), a.dy ? a.dy + (start + row) * a.dy_row : nullptr,
                     a.dh + row * h);
    });
  };
  const auto product = [&](int64_t now, int64_t first, int64_t last, int64_t panel, int64_t last_panel) {
    const int64_t time = time_of(a.s, now), start = a.s.starts[time];
    const PanelRows rows{a.gates + start * kGates * h, kGates * h, 2 * h, a.m + start * h, h, h};
    multiply_panels(rows, a.packed, true, a.dh, h, h, first, min64(last, rows_at(a.s, time)), panel, last_panel);
  };
  walk_backward(a.s, kGates, step, begin, end, gates, product);
}

}  // namespace

void add_gru(RecurrentKernels& k) {
  k.gru_forward = {forward_steps, forward_tasks, forward};
  k.gru_backward = {backward_steps, backward_tasks, backward};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

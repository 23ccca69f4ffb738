// lstm: one direction of one layer through time, after the input product. See recurrent.h for tasks and panels.
#include "contract/recurrent.h"
#include "core/math.h"
#include "recurrent.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kGates = 4;

int64_t forward_steps(const LstmForward& a) { return by_units(a.s, kGates) ? a.part.end - a.part.begin : 1; }
int64_t forward_tasks(const LstmForward& a) { return walk_tasks(a.s, kGates, vectors_of(a.s.h)); }

// What a tile of rows of one step reads and writes, all at the first row and the first unit of the tile.
struct Step {
  const float* h_before;  // the whole row
  int64_t h_row, k;       // k == 0: all zeros
  const float* c_before;  // null: zeros
  float *gates, *c, *y;
};

template <int R>
void forward_tile(const LstmForward& a, const Step& s, const float* panel, int64_t lanes) {
  const int64_t h = a.s.h;
  vf acc[R][kGates];
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int g = 0; g < kGates; ++g) acc[i][g] = load_n(s.gates + (i * kGates + g) * h, lanes);
  multiply_add(acc, s.h_before, s.h_row, 1, panel, kGates * kLanes, s.k);
  float z[R][kGates][kLanes];  // so that the loop below need not be unrolled, which keeps acc in registers above
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int g = 0; g < kGates; ++g) store(z[i][g], acc[i][g]);
#pragma GCC unroll 1
  for (int i = 0; i < R; ++i) {
    const vf in = sigmoid(load(z[i][0])), forget = sigmoid(load(z[i][1])), cell = tanh(load(z[i][2])),
             out = sigmoid(load(z[i][3]));
    const vf before = s.c_before ? load_n(s.c_before + i * h, lanes) : vf{};
    const vf c = fma(forget, before, in * cell);
    store_n(s.c + i * h, c, lanes);
    store_n(s.y + i * a.y_row, out * tanh(c), lanes);
    if (!a.keep) continue;
    float* gates = s.gates + i * kGates * h;
    store_n(gates, in, lanes);
    store_n(gates + h, forget, lanes);
    store_n(gates + 2 * h, cell, lanes);
    store_n(gates + 3 * h, out, lanes);
  }
}

void forward(const LstmForward& a, int64_t step, int64_t begin, int64_t end) {
  const int64_t h = a.s.h;
  walk_forward(a.s, a.part, kGates, vectors_of(h), step, begin, end,
               [&](int64_t now, int64_t first, int64_t last, int64_t v, int64_t last_v) {
                 const int64_t start = a.s.starts[time_of(a.s, now)];
                 float* gates = a.gates + (start - a.part.row) * kGates * h;
                 float* c = a.keep ? a.c + start * h : a.c;
                 for (; v < last_v; ++v) {
                   const int64_t unit = v * kLanes;
                   for_samples(a.s, now, first, last, [&](int64_t from, int64_t to, int64_t before) {
                     const int64_t c_before = before < 0 || a.keep ? before : 0;
                     for_tiles(from, to, [&](int64_t row, auto height) {
                       const float* h_row = row_before(a.h0, h, a.y, a.y_row, before, row);
                       const float* c_row = row_before(a.c0, h, a.c, h, c_before, row);
                       const Step s{h_row,
                                    before < 0 ? h : a.y_row,
                                    h_row ? h : 0,
                                    c_row ? c_row + unit : nullptr,
                                    gates + row * kGates * h + unit,
                                    c + row * h + unit,
                                    a.y + (start + row) * a.y_row + unit};
                       forward_tile<decltype(height)::value>(a, s, a.packed + unit * kGates * h, h - unit);
                     });
                   });
                 }
               });
}

int64_t backward_steps(const LstmBackward& a) { return by_units(a.s, kGates) ? a.s.t + 1 : 1; }
int64_t backward_tasks(const LstmBackward& a) { return walk_tasks(a.s, kGates, panels_of(a.s.h)); }

// The units [unit, last) of one row of one step: gates become their gradients, dc that of the step before.
void backward_row(int64_t h, int64_t unit, int64_t last, float* gates, const float* c, const float* c_before,
                  const float* dy, const float* dh, float* dc) {
  const vf one = splat(1.0f);
  for (; unit < last; unit += kLanes) {
    const int64_t lanes = h - unit;
    float* g = gates + unit;
    const vf in = load_n(g, lanes), forget = load_n(g + h, lanes), cell = load_n(g + 2 * h, lanes),
             out = load_n(g + 3 * h, lanes);
    const vf before = c_before ? load_n(c_before + unit, lanes) : vf{};
    const vf squashed = tanh(load_n(c + unit, lanes));
    const vf d = gradient_of_h(dh + unit, dy ? dy + unit : nullptr, lanes);
    const vf d_cell = fma(d * out, one - squashed * squashed, load_n(dc + unit, lanes));
    store_n(g, d_cell * cell * in * (one - in), lanes);
    store_n(g + h, d_cell * before * forget * (one - forget), lanes);
    store_n(g + 2 * h, d_cell * in * (one - cell * cell), lanes);
    store_n(g + 3 * h, d * squashed * out * (one - out), lanes);
    store_n(dc + unit, d_cell * forget, lanes);
  }
}

void backward(const LstmBackward& a, int64_t step, int64_t begin, int64_t end) {
  const int64_t h = a.s.h;
  const auto gates = [&](int64_t now, int64_t first, int64_t last, int64_t unit, int64_t last_unit) {
    const int64_t start = a.s.starts[time_of(a.s, now)];
    for_samples(a.s, now, first, last, [&](int64_t from, int64_t to, int64_t before) {
      for (int64_t row = from; row < to; ++row)
        backward_row(h, unit, last_unit, a.gates + (start + row) * kGates * h, a.c + (start + row) * h,
                     row_before(a.c0, h, a.c, h, before, row), a.dy ? a.dy + (start + row) * a.dy_row : nullptr,
                     a.dh + row * h, a.dc + row * h);
    });
  };
  const auto product = [&](int64_t now, int64_t first, int64_t last, int64_t panel, int64_t last_panel) {
    const int64_t time = time_of(a.s, now);
    const PanelRows rows{a.gates + a.s.starts[time] * kGates * h, kGates * h, kGates * h, nullptr, 0, 0};
    multiply_panels(rows, a.packed, false, a.dh, h, h, first, min64(last, rows_at(a.s, time)), panel, last_panel);
  };
  walk_backward(a.s, kGates, step, begin, end, gates, product);
}

}  // namespace

void add_lstm(RecurrentKernels& k) {
  k.lstm_forward = {forward_steps, forward_tasks, forward};
  k.lstm_backward = {backward_steps, backward_tasks, backward};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

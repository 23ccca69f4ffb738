// rnn: one direction of one layer through time, after the input product. See recurrent.h for tasks and panels; with one
// gate, forward takes up to four vectors of neighbouring units where lstm takes four gates.
#include "contract/recurrent.h"
#include "core/math.h"
#include "recurrent.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t forward_steps(const RnnForward& a) { return by_units(a.s, 1) ? a.part.end - a.part.begin : 1; }
int64_t backward_steps(const RnnBackward& a) { return by_units(a.s, 1) ? a.s.t + 1 : 1; }

template <class Args>
int64_t tasks(const Args& a) {
  return walk_tasks(a.s, 1, panels_of(a.s.h));
}

// y = the nonlinearity of (gates + h_before . panel); k == 0: h_before is all zeros.
// Inlined, the constants of tanh stay in registers of AVX2 throughout, and the tallest tile spills an accumulator.
template <int R, int V>
[[gnu::noinline]] void forward_tile(const RnnForward& a, const float* gates, const float* h_before, int64_t h_row,
                                    int64_t k, const float* panel, float* y, int64_t columns) {
  vf acc[R][V];
  load_tile(acc, gates, a.s.h, columns);
  multiply_add(acc, h_before, h_row, 1, panel, V * kLanes, k);
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) {
      const int64_t lanes = min64(kLanes, columns - j * kLanes);
      store_n(y + i * a.y_row + j * kLanes, acc[i][j], lanes);
    }
#pragma GCC unroll 1
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 1
    for (int64_t j = 0; j < columns; j += kLanes) {
      float* out = y + i * a.y_row + j;
      const vf z = load_n(out, columns - j);
      store_n(out, a.relu ? (z < vf{} ? vf{} : z) : tanh(z), columns - j);
    }
}

void forward(const RnnForward& a, int64_t step, int64_t begin, int64_t end) {
  const int64_t h = a.s.h;
  walk_forward(a.s, a.part, 1, panels_of(h), step, begin, end,
               [&](int64_t now, int64_t first, int64_t last, int64_t panel, int64_t last_panel) {
                 const int64_t start = a.s.starts[time_of(a.s, now)];
                 for (; panel < last_panel; ++panel) {
                   const int64_t vector = panel_vector(h, panel), vectors = panel_vector(h, panel + 1) - vector;
                   const int64_t unit = vector * kLanes, columns = min64(vectors * kLanes, h - unit);
                   for_samples(a.s, now, first, last, [&](int64_t from, int64_t to, int64_t before) {
                     for_tiles(from, to, [&](int64_t row, auto height) {
                       const float* h_row = row_before(a.h0, h, a.y, a.y_row, before, row);
                       with_vectors(vectors, [&](auto width) {
                         forward_tile<decltype(height)::value, decltype(width)::value>(
                             a, a.gates + (start - a.part.row + row) * h + unit, h_row, before < 0 ? h : a.y_row,
                             h_row ? h : 0, a.packed + unit * h, a.y + (start + row) * a.y_row + unit, columns);
                       });
                     });
                   });
                 }
               });
}

void backward_row(const RnnBackward& a, int64_t unit, int64_t last, const float* y, const float* dy, const float* dh,
                  float* gates) {
  for (; unit < last; unit += kLanes) {
    const int64_t lanes = a.s.h - unit;
    const vf out = load_n(y + unit, lanes), d = gradient_of_h(dh + unit, dy ? dy + unit : nullptr, lanes);
    store_n(gates + unit, a.relu ? (out > vf{} ? d : vf{}) : d * (splat(1.0f) - out * out), lanes);
  }
}

void backward(const RnnBackward& a, int64_t step, int64_t begin, int64_t end) {
  const int64_t h = a.s.h;
  const auto gates = [&](int64_t now, int64_t first, int64_t last, int64_t unit, int64_t last_unit) {
    const int64_t time = time_of(a.s, now), start = a.s.starts[time];
    for (int64_t row = first; row < min64(last, rows_at(a.s, time)); ++row)
      backward_row(a, unit, last_unit, a.y + (start + row) * a.y_row, a.dy ? a.dy + (start + row) * a.dy_row : nullptr,
                   a.dh + row * h, a.gates + (start + row) * h);
  };
  const auto product = [&](int64_t now, int64_t first, int64_t last, int64_t panel, int64_t last_panel) {
    const int64_t time = time_of(a.s, now);
    const PanelRows rows{a.gates + a.s.starts[time] * h, h, h, nullptr, 0, 0};
    multiply_panels(rows, a.packed, false, a.dh, h, h, first, min64(last, rows_at(a.s, time)), panel, last_panel);
  };
  walk_backward(a.s, 1, step, begin, end, gates, product);
}

}  // namespace

void add_rnn(RecurrentKernels& k) {
  k.rnn_forward = {forward_steps, tasks<RnnForward>, forward};
  k.rnn_backward = {backward_steps, tasks<RnnBackward>, backward};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

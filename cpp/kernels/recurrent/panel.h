// The product of the recurrent kernels: out (rows, n) = a (rows, k) . b (k, n), with b packed in panels of 1 to
// kVectors vectors of columns: [k][vectors][kLanes]. A panel serves many rows while it is in cache. Each element is one
// chain of multiply-adds in the order of k, so tiles change no bit. The tiles are compiled once, in panel.cpp.
#pragma once
#include "contract/recurrent.h"
#include "core/tile.h"

namespace fastnn {
namespace FASTNN_ISA {

// Rows of a in one or two parts: a (rows, k), then a2 (rows, k2), against the rows of b in that order.
struct PanelRows {
  const float* a;
  int64_t a_row, k;
  const float* a2;
  int64_t a2_row, k2;
};

// The panels [panel, last_panel) of rows [first, last) of out = (add ? out : 0) + a . b. a2 null: k2 is 0.
void multiply_panels(const PanelRows& rows, const float* packed, bool add, float* out, int64_t out_row, int64_t n,
                     int64_t first, int64_t last, int64_t panel, int64_t last_panel);

namespace {

// 6 x 4 vectors of 32 registers, 3 x 4 of 16: the tallest tiles of four gates that compile without spills.
constexpr int kStepRows = kRegisters == 32 ? 6 : 3;
constexpr int kVectors = 4;

// n columns as vectors, and panels of nearly equal width, at most `widest`.
[[gnu::always_inline]] inline int64_t vectors_of(int64_t n) { return ceil_div(n, kLanes); }
[[gnu::always_inline]] inline int64_t panels_of(int64_t n, int64_t widest = kVectors) {
  return ceil_div(vectors_of(n), widest);
}
[[gnu::always_inline]] inline int64_t panel_vector(int64_t n, int64_t panel, int64_t widest = kVectors) {
  return vectors_of(n) * panel / panels_of(n, widest);
}

// A height or a width as a type: f(Rows<n>{}) for 1 <= n <= kStepRows, or kVectors.
template <class F>
[[gnu::always_inline]] inline void with_step_rows(int64_t rows, F f) {
  if constexpr (kStepRows > 3) {
    switch (rows) {
      case 4:
        return f(Rows<4>{});
      case 5:
        return f(Rows<5>{});
      case 6:
        return f(Rows<6>{});
    }
  }
  switch (rows) {
    case 1:
      return f(Rows<1>{});
    case 2:
      return f(Rows<2>{});
    case 3:
      return f(Rows<3>{});
  }
}
template <class F>
[[gnu::always_inline]] inline void with_vectors(int64_t vectors, F f) {
  switch (vectors) {
    case 1:
      return f(Rows<1>{});
    case 2:
      return f(Rows<2>{});
    case 3:
      return f(Rows<3>{});
    case 4:
      return f(Rows<4>{});
  }
}

// f(row, Rows<height>) over tiles of nearly equal height that cover the rows [first, last).
template <class F>
[[gnu::always_inline]] inline void for_tiles(int64_t first, int64_t last, F f) {
  const int64_t tiles = ceil_div(last - first, kStepRows);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t row = first + tile_row(last - first, tiles, t);
    with_step_rows(first + tile_row(last - first, tiles, t + 1) - row, [&](auto height) { f(row, height); });
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

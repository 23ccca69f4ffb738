// The microkernel family behind every matrix product: R rows of a times V vectors of b, accumulated in registers.
//   acc[i][j] += sum over k of a[i * a_row + k * a_col] * b[k * b_row + j * kLanes ...]
// a is read by broadcast, so neither layout of a needs packing; the order of k is the order of the additions, whatever
// R, V and the ISA are. R * V accumulators, V vectors of b and one of a stay in registers up to kMaxRows x 2.
#pragma once
#include "simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// 14 x 2 of 32 registers, 6 x 2 of 16: the tallest tiles that compile without spills.
constexpr int kMaxRows = kRegisters == 32 ? 14 : 6;

// R rows of a by one pointer per three: x86 addresses base, base + stride and base + 2 * stride without arithmetic, and
// a pointer per row would not fit its 16 integer registers.
template <int R>
struct RowPointers {
  const float* at[(R + 2) / 3];

  [[gnu::always_inline]] RowPointers(const float* a, int64_t a_row) {
#pragma GCC unroll 16
    for (int g = 0; g < (R + 2) / 3; ++g) at[g] = a + 3 * g * a_row;
  }
  [[gnu::always_inline]] void advance(int64_t step) {
#pragma GCC unroll 16
    for (int g = 0; g < (R + 2) / 3; ++g) at[g] += step;
  }
};

template <int R, int V>
[[gnu::always_inline]] inline void multiply_add(vf (&acc)[R][V], const float* a, int64_t a_row, int64_t a_col,
                                                const float* b, int64_t b_row, int64_t k) {
  RowPointers<R> rows(a, a_row);
  for (int64_t p = 0; p < k; ++p) {
    vf bv[V];
#pragma GCC unroll 16
    for (int j = 0; j < V; ++j) bv[j] = load(b + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const vf av = splat(rows.at[i / 3][i % 3 * a_row]);
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
    rows.advance(a_col);
    b += b_row;
  }
}

// The same where the last of the V vectors of b has only `last` valid lanes (b is not padded).
template <int R, int V>
[[gnu::always_inline]] inline void multiply_add_ragged(vf (&acc)[R][V], const float* a, int64_t a_row, int64_t a_col,
                                                       const float* b, int64_t b_row, int64_t k, int64_t last) {
  RowPointers<R> rows(a, a_row);
  for (int64_t p = 0; p < k; ++p) {
    vf bv[V];
#pragma GCC unroll 16
    for (int j = 0; j < V - 1; ++j) bv[j] = load(b + j * kLanes);
    bv[V - 1] = load_n(b + (V - 1) * kLanes, last);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
      const vf av = splat(rows.at[i / 3][i % 3 * a_row]);
#pragma GCC unroll 16
      for (int j = 0; j < V; ++j) acc[i][j] = fma(av, bv[j], acc[i][j]);
    }
    rows.advance(a_col);
    b += b_row;
  }
}

// acc from (or to) rows of c with `columns` valid in all, (V - 1) * kLanes < columns <= V * kLanes; the rest of the
// last vector is zero (or left alone).
template <int R, int V>
[[gnu::always_inline]] inline void load_tile(vf (&acc)[R][V], const float* c, int64_t c_row, int64_t columns) {
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < V - 1; ++j) acc[i][j] = load(c + i * c_row + j * kLanes);
    acc[i][V - 1] = load_n(c + i * c_row + (V - 1) * kLanes, columns - (V - 1) * kLanes);
  }
}

template <int R, int V>
[[gnu::always_inline]] inline void store_tile(const vf (&acc)[R][V], float* c, int64_t c_row, int64_t columns) {
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < V - 1; ++j) store(c + i * c_row + j * kLanes, acc[i][j]);
    store_n(c + i * c_row + (V - 1) * kLanes, acc[i][V - 1], columns - (V - 1) * kLanes);
  }
}

// Every row of acc starts from the same V vectors: a bias, padded to whole vectors, or zeros where it is null.
template <int R, int V>
[[gnu::always_inline]] inline void start_tile(vf (&acc)[R][V], const float* padded_bias) {
#pragma GCC unroll 16
  for (int j = 0; j < V; ++j) {
    const vf start = padded_bias ? load(padded_bias + j * kLanes) : vf{};
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) acc[i][j] = start;
  }
}

// Rows [0, m) cut into tiles of nearly equal height: tile t starts at tile_row(m, tiles, t).
[[gnu::always_inline]] inline int64_t tile_count(int64_t m) { return ceil_div(m, kMaxRows); }
[[gnu::always_inline]] inline int64_t tile_row(int64_t m, int64_t tiles, int64_t t) { return m * t / tiles; }

// A height as a type, so that a tile is compiled for it: with_rows(rows, f) calls f(Rows<rows>{}), 1 <= rows <=
// kMaxRows.
template <int R>
struct Rows {
  static constexpr int value = R;
};

template <class F>
[[gnu::always_inline]] inline void with_rows(int64_t rows, F f) {
  if constexpr (kMaxRows > 6) {
    switch (rows) {
      case 7:
        return f(Rows<7>{});
      case 8:
        return f(Rows<8>{});
      case 9:
        return f(Rows<9>{});
      case 10:
        return f(Rows<10>{});
      case 11:
        return f(Rows<11>{});
      case 12:
        return f(Rows<12>{});
      case 13:
        return f(Rows<13>{});
      case 14:
        return f(Rows<14>{});
    }
  }
  switch (rows) {
    case 1:
      return f(Rows<1>{});
    case 2:
      return f(Rows<2>{});
    case 3:
      return f(Rows<3>{});
    case 4:
      return f(Rows<4>{});
    case 5:
      return f(Rows<5>{});
    case 6:
      return f(Rows<6>{});
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

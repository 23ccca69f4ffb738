// Few rows of a, or few of b: c (m, n) = a (m, k) . b (k, n) + bias (n), m <= kFewRows or k <= kFewDepth, where the
// rows of b are dense. b is read as it lies, with few of a once: to make panels of it, or to make sure that those kept
// are still its own, would take as long as the product. With few of b the work is to write c, which goes row by row:
// tiles of rows write a few lines each of many, which for rows of 4 KB share one set of L1. Sums grow from the bias in
// the order of k, as they do over panels: the bits are the same.
#pragma once
#include "contract/gemm.h"
#include "core/finish.h"
#include "core/tile.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kFewRows = kRegisters == 32 ? 4 : 2;
constexpr int64_t kFewDepth = 4;
constexpr int64_t kFewWork = 1 << 17;  // multiply-adds a task should have: a few microseconds
constexpr int64_t kWide = 4 * kLanes;  // columns at a time: sums enough to hide the latency of a multiply-add
constexpr int64_t kRowsOfB = 8;        // rows at a time

bool few_rows(const Gemm& g) { return g.m <= kFewRows && g.b_col == 1; }
bool few(const Gemm& g) { return (g.m <= kFewRows || g.k <= kFewDepth) && g.b_col == 1; }

// Columns of a task, a multiple of kWide.
int64_t few_columns(const Gemm& g) {
  return kWide * max64(1, min64(ceil_div(g.n, kWide), ceil_div(kFewWork, kWide * max64(1, g.m * g.k))));
}
// Rows of a task with few of b.
int64_t shallow_rows(const Gemm& g) { return max64(1, min64(g.m, ceil_div(kFewWork, max64(1, g.n) * max64(1, g.k)))); }
int64_t few_tasks(const Gemm& g) {
  return g.batch * (few_rows(g) ? ceil_div(g.n, few_columns(g)) : ceil_div(g.m, shallow_rows(g)));
}

template <int R, int V>
[[gnu::always_inline]] inline void start_few(vf (&acc)[R][V], const float* bias, int64_t columns) {
#pragma GCC unroll 4
  for (int j = 0; j < V; ++j) {
    const vf start = bias ? load_n(bias + j * kLanes, max64(0, columns - j * kLanes)) : vf{};
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) acc[i][j] = start;
  }
}

// c += a (R, k) times at most kWide columns of b; where it is the first step of k, c starts from the bias.
template <int R, int V>
[[gnu::always_inline]] inline void wide_tile(const Gemm& g, const float* a, const float* b, const float* bias,
                                             bool first, float* c, int64_t k, int64_t columns) {
  vf acc[R][V];
  if (first)
    start_few(acc, bias, columns);
  else
    load_tile(acc, c, g.c_row, columns);
  if (columns == V * kLanes)
    multiply_add(acc, a, g.a_row, g.a_col, b, g.b_row, k);
  else
    multiply_add_ragged(acc, a, g.a_row, g.a_col, b, g.b_row, k, columns - (V - 1) * kLanes);
  store_tile(acc, c, g.c_row, columns);
}

// All rows of a times `columns` columns of b, whose rows are contiguous: kRowsOfB of them at a time, from end to end,
// as the hardware fetches memory ahead.
template <int R>
void wide_block(const Gemm& g, const float* a, const float* b, const float* bias, float* c, int64_t columns) {
  for (int64_t p = 0; p == 0 || p < g.k; p += kRowsOfB) {
    const int64_t k = min64(kRowsOfB, g.k - p);
    for (int64_t j = 0; j < columns; j += kWide) {
      const float *at = a + p * g.a_col, *from = b + p * g.b_row + j, *start = bias ? bias + j : nullptr;
      const int64_t n = min64(kWide, columns - j);
      if (n > 3 * kLanes)
        wide_tile<R, 4>(g, at, from, start, p == 0, c + j, k, n);
      else if (n > 2 * kLanes)
        wide_tile<R, 3>(g, at, from, start, p == 0, c + j, k, n);
      else if (n > kLanes)
        wide_tile<R, 2>(g, at, from, start, p == 0, c + j, k, n);
      else
        wide_tile<R, 1>(g, at, from, start, p == 0, c + j, k, n);
    }
  }
}

// Columns [first, last) of one product.
void few_range(const Gemm& g, int64_t batch, int64_t first, int64_t last) {
  const float *a = g.a + batch * g.a_batch, *b = g.b + batch * g.b_batch + first * g.b_col;
  const float* bias = g.bias ? g.bias + first : nullptr;
  float* c = g.c + batch * g.c_batch + first;
  with_rows(g.m, [&](auto height) {
    constexpr int R = decltype(height)::value;
    if constexpr (R <= kFewRows) wide_block<R>(g, a, b, bias, c, last - first);
  });
  if (g.relu) finish(c, nullptr, true, g.m, g.c_row, 1, 0, last - first);
}

void run_shallow(const Gemm& g, int64_t begin, int64_t end) {
  const int64_t step = shallow_rows(g), blocks = ceil_div(g.m, step);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t batch = task / blocks, first = task % blocks * step, last = min64(g.m, first + step);
    float* c = g.c + batch * g.c_batch;
    for (int64_t row = first; row < last; ++row)
      wide_block<1>(g, g.a + batch * g.a_batch + row * g.a_row, g.b + batch * g.b_batch, g.bias, c + row * g.c_row,
                    g.n);
    if (g.relu) finish(c + first * g.c_row, nullptr, true, last - first, g.c_row, 1, 0, g.n);
  }
}

void run_few(const Gemm& g, int64_t begin, int64_t end) {
  if (!few_rows(g)) return run_shallow(g, begin, end);
  const int64_t step = few_columns(g), blocks = ceil_div(g.n, step);
  while (begin < end) {
    const int64_t block = begin % blocks, count = min64(blocks - block, end - begin);
    few_range(g, begin / blocks, block * step, min64(g.n, (block + count) * step));
    begin += count;
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// sum_rows: out (columns) = sum over rows of x (rows, columns).
// The rows are cut into chunks by their number only; a chunk is added up in order, then the chunks in a fixed tree.
#include "contract/gemm.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunkFloats = 1 << 15;  // 128 KB of x to a task
constexpr int64_t kMaxChunks = 64;

int64_t chunks(const SumRows& s) {
  return max64(1, min64(min64(kMaxChunks, s.rows), ceil_div(s.rows * s.columns, kChunkFloats)));
}

int64_t workspace(const SumRows& s) { return chunks(s) * s.columns; }

void run_chunk(const SumRows& s, int64_t first, int64_t last, float* __restrict out) {
  int64_t column = 0;
  for (; column < s.columns; column += 4 * kLanes) {
    const int64_t left = s.columns - column;
    const int64_t n0 = min64(kLanes, left), n1 = max64(0, min64(kLanes, left - kLanes)),
                  n2 = max64(0, min64(kLanes, left - 2 * kLanes)), n3 = max64(0, min64(kLanes, left - 3 * kLanes));
    vf a0 = {}, a1 = {}, a2 = {}, a3 = {};
    const float* x = s.x + first * s.x_row + column;
    for (int64_t r = first; r < last; ++r, x += s.x_row) {
      a0 += load_n(x, n0);
      if (n1) a1 += load_n(x + kLanes, n1);
      if (n2) a2 += load_n(x + 2 * kLanes, n2);
      if (n3) a3 += load_n(x + 3 * kLanes, n3);
    }
    store_n(out + column, a0, n0);
    if (n1) store_n(out + column + kLanes, a1, n1);
    if (n2) store_n(out + column + 2 * kLanes, a2, n2);
    if (n3) store_n(out + column + 3 * kLanes, a3, n3);
  }
}

void run_partial(const SumRows& s, int64_t begin, int64_t end, float*) {
  for (int64_t i = begin; i < end; ++i)
    run_chunk(s, s.rows * i / chunks(s), s.rows * (i + 1) / chunks(s), s.workspace + i * s.columns);
}

// sums[i] += sums[i + half] of the chunks until one is left: the fixed tree.
void run_tree(const SumRows& s, int64_t, int64_t, float*) {
  float* __restrict p = s.workspace;
  for (int64_t left = chunks(s); left > 1; left = ceil_div(left, 2)) {
    const int64_t half = ceil_div(left, 2);
    for (int64_t i = 0; i + half < left; ++i)
      for (int64_t j = 0; j < s.columns; ++j) p[i * s.columns + j] += p[(i + half) * s.columns + j];
  }
  for (int64_t j = 0; j < s.columns; ++j) s.out[j] = p[j];
}

int64_t one_task(const SumRows&) { return 1; }

}  // namespace

void add_sum_rows(GemmKernels& k) {
  k.sum_rows = {{{chunks, nullptr, run_partial}, {one_task, nullptr, run_tree}}, workspace, &SumRows::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

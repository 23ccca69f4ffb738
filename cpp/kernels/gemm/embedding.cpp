// embedding: y (count, width) = rows of a table; dw (rows, width) = sums of the rows of dy that came from each.
// Backward sorts the positions by index (a counting sort, which keeps their order), then a task owns a range of rows of
// the table: nothing is scattered between tasks, and each sum has one order.
#include "contract/gemm.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kTaskFloats = 1 << 16;

int64_t rows_per_task(int64_t width) { return ceil_div(kTaskFloats, width + 16); }

int64_t forward_tasks(const Embedding& e) { return e.width == 0 ? 0 : ceil_div(e.count, rows_per_task(e.width)); }

void forward(const Embedding& e, int64_t begin, int64_t end, float*) {
  const int64_t rows = rows_per_task(e.width);
  for (int64_t i = begin * rows; i < min64(end * rows, e.count); ++i) {
    float* to = e.y + i * e.width;
    if (e.indices[i] < 0) {
      __builtin_memset(to, 0, e.width * sizeof(float));
      continue;
    }
    const float* from = e.weight + e.indices[i] * e.width;
    for (int64_t c = 0; c < e.width; c += kLanes) store_n(to + c, load_n(from + c, e.width - c), e.width - c);
  }
}

// Positions in indices, sorted by index, then by position, and where each row's part of them begins.
int64_t* starts_of(const EmbeddingBackward& e) { return reinterpret_cast<int64_t*>(e.workspace); }
int64_t* order_of(const EmbeddingBackward& e) { return starts_of(e) + e.rows + 1; }
int64_t workspace(const EmbeddingBackward& e) { return e.width == 0 ? 0 : 2 * (e.rows + 1 + e.count); }

int64_t sort_tasks(const EmbeddingBackward& e) { return e.width == 0 ? 0 : 1; }

void sort(const EmbeddingBackward& e, int64_t, int64_t, float*) {
  int64_t *starts = starts_of(e), *order = order_of(e);
  // starts[i + 1] counts index i, then becomes where i begins, then, as i is filled in, where it ends and i + 1 begins.
  for (int64_t r = 0; r <= e.rows; ++r) starts[r] = 0;
  for (int64_t i = 0; i < e.count; ++i)
    if (e.indices[i] + 1 < e.rows) ++starts[e.indices[i] + 2];
  for (int64_t r = 1; r <= e.rows; ++r) starts[r] += starts[r - 1];
  for (int64_t i = 0; i < e.count; ++i) order[starts[e.indices[i] + 1]++] = i;
}

// Rows of the table in a task: those of dw to write and, on average, those of dy to read.
int64_t backward_rows(const EmbeddingBackward& e) {
  return max64(1, rows_per_task(e.width) * e.rows / (e.rows + e.count));
}

int64_t backward_tasks(const EmbeddingBackward& e) {
  return e.rows == 0 || e.width == 0 ? 0 : ceil_div(e.rows, backward_rows(e));
}

template <int V>
[[gnu::always_inline]] inline void sum_lanes(const EmbeddingBackward& e, int64_t first, int64_t last, int64_t c,
                                             int64_t n, float* dw) {
  const int64_t* order = order_of(e);
  vf sum[V] = {};
  for (int64_t i = first; i < last; ++i) {
    const float* dy = e.dy + order[i] * e.width + c;
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[v] += load_n(dy + v * kLanes, v < V - 1 ? kLanes : n);
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) store_n(dw + c + v * kLanes, sum[v], v < V - 1 ? kLanes : n);
}

void backward(const EmbeddingBackward& e, int64_t begin, int64_t end, float*) {
  const int64_t rows = backward_rows(e);
  const int64_t* starts = starts_of(e);
  for (int64_t r = begin * rows; r < min64(end * rows, e.rows); ++r) {
    const int64_t first = starts[r], last = r == e.skip ? first : starts[r + 1];
    float* dw = e.dw + r * e.width;
    int64_t c = 0;
    for (; c + 4 * kLanes <= e.width; c += 4 * kLanes) sum_lanes<4>(e, first, last, c, kLanes, dw);
    for (; c < e.width; c += kLanes) sum_lanes<1>(e, first, last, c, min64(kLanes, e.width - c), dw);
  }
}

}  // namespace

void add_embedding(GemmKernels& k) {
  k.embedding_forward = {{{forward_tasks, nullptr, forward}}};
  k.embedding_backward = {
      {{sort_tasks, nullptr, sort}, {backward_tasks, nullptr, backward}}, workspace, &EmbeddingBackward::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

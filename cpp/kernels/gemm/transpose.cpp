// transpose: y (n, cols, rows) from x (n, rows, cols), blocks of kLanes x kLanes at a time: images from n, c, h, w to
// channels-last and back.
#include "core/transpose.h"

#include "contract/gemm.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kTaskFloats = 1 << 14;  // 64 KB of x to a task

int64_t block_cols(const Transpose& t) { return ceil_div(max64(1, kTaskFloats / max64(1, t.rows)), kLanes) * kLanes; }

int64_t tasks(const Transpose& t) { return t.rows == 0 ? 0 : t.n * ceil_div(t.cols, block_cols(t)); }

void run(const Transpose& t, int64_t begin, int64_t end, float*) {
  const int64_t block = block_cols(t), blocks = ceil_div(t.cols, block);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t first = task % blocks * block, at = task / blocks * t.rows * t.cols;
    transpose_rows(t.x + at + first, t.cols, t.rows, min64(block, t.cols - first), t.y + at + first * t.rows, t.rows);
  }
}

}  // namespace

void add_transpose(GemmKernels& k) { k.transpose = {{{tasks, nullptr, run}}}; }

}  // namespace FASTNN_ISA
}  // namespace fastnn

// How the images of a convolution are cut into tasks: blocks of rows.
#pragma once
#include "core/tile.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kTaskWork = 1 << 21;       // multiply-adds of a task, about 20 microseconds of one core
constexpr int64_t kTaskTiles = 4;            // tiles of pixels of a task
constexpr int64_t kManyTasks = 64;           // with more tasks than this, they may as well be larger
constexpr int64_t kScratchFloats = 1 << 16;  // 256 KB of window: a quarter to a half of L2

// Rows of a task, for n images of rows x cols pixels, where a row costs `work` multiply-adds and its window `floats`
// (beside `halo` more rows). Every task streams all the weights: a few tiles of pixels have to share that.
inline int64_t block_rows(int64_t n, int64_t rows, int64_t cols, int64_t work, int64_t floats, int64_t halo) {
  rows = max64(1, rows);
  int64_t block = max64(kTaskWork / max64(1, work), ceil_div(kTaskTiles * kMaxRows, max64(1, cols)));
  block = max64(block, n * rows / kManyTasks);
  block = min64(block, max64(max64(1, halo), kScratchFloats / max64(1, floats) - halo));  // none is copied often
  const int64_t blocks = ceil_div(rows, max64(1, block));
  return ceil_div(rows, blocks);
}

struct Block {
  int64_t n, first, rows;  // image, and rows of it
};

// Block `index` of images of `rows` rows, each cut into blocks of `block` rows.
inline Block block_at(int64_t index, int64_t rows, int64_t block) {
  const int64_t blocks = ceil_div(rows, block), first = index % blocks * block;
  return {index / blocks, first, min64(rows - first, block)};
}

// Tasks that share a block of rows, each some panels of outputs, where there are few blocks.
constexpr int64_t kFewTasks = 8;
inline int64_t panel_parts(int64_t blocks, int64_t panels) {
  return max64(1, min64(panels, kFewTasks / max64(1, blocks)));
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// The direct convolution behind conv2d_forward and conv2d_backward_input: a source image with its padding in place, a
// regular grid of taps, and an output grid. One Pass computes
//   out[i][j][o] = bias[o] + sum over taps (ty, tx) and depth d of
//                  source[i * move_h + ty * tap_h][j * move_w + tx * tap_w][d] * packed[ty][tx][d][o]
// Forward is one pass that moves by the stride; backward_input is stride_h * stride_w passes that move by one, each
// over the taps that reach its pixels, so no zero is multiplied.
#pragma once
#include "contract/conv.h"
#include "core/tile.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kTaskWork = 1 << 21;       // multiply-adds of a task, about 20 microseconds of one core
constexpr int64_t kTaskTiles = 4;            // tiles of pixels of a task
constexpr int64_t kManyTasks = 64;           // with more tasks than this, they may as well be larger
constexpr int64_t kScratchFloats = 1 << 16;  // 256 KB of window: a quarter to a half of L2

inline int64_t group_depth(const Conv2d& g) { return g.c / g.groups; }
inline int64_t group_outputs(const Conv2d& g) { return g.k / g.groups; }

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

struct Pass {
  int64_t taps_h, taps_w, tap_h, tap_w;  // how many taps, and source pixels from one to the next
  int64_t move_h, move_w;                // source pixels from one output to the next
  int64_t depth, outputs;                // channels of source and output in a group
  int64_t source_row, source_pixel;      // floats from a source row (pixel) to the next
  int64_t out_row, out_pixel;            // floats from an output row (pixel) to the next
  // Source rows and columns in the image, counted from the source pointer. Range beyond them meet zeros only.
  int64_t row_first = INT64_MIN / 2, row_last = INT64_MAX / 2;
  int64_t col_first = INT64_MIN / 2, col_last = INT64_MAX / 2;
};

struct Range {
  int64_t first, last;
};

// Range t of `taps` for which some of the positions low .. high, moved by t * step, lie in [first, last).
inline Range taps_inside(int64_t low, int64_t high, int64_t step, int64_t taps, int64_t first, int64_t last) {
  const int64_t begin = high >= first ? 0 : min64(taps, ceil_div(first - high, step));
  const int64_t end = low >= last ? 0 : min64(taps, (last - 1 - low) / step + 1);
  return {begin, max64(begin, end)};
}

// Range of a kernel's rows that outputs of rows i .. j need; likewise columns.
inline Range row_taps(const Pass& p, int64_t i, int64_t j) {
  return taps_inside(i * p.move_h, j * p.move_h, p.tap_h, p.taps_h, p.row_first, p.row_last);
}
inline Range col_taps(const Pass& p, int64_t i, int64_t j) {
  return taps_inside(i * p.move_w, j * p.move_w, p.tap_w, p.taps_w, p.col_first, p.col_last);
}

// Tasks that share a block of rows, each some panels of outputs, where there are few blocks.
constexpr int64_t kFewTasks = 8;
inline int64_t panel_parts(int64_t blocks, int64_t panels) {
  return max64(1, min64(panels, kFewTasks / max64(1, blocks)));
}

inline int64_t panel_width(int64_t outputs) { return outputs <= kLanes ? kLanes : 2 * kLanes; }
inline int64_t panel_count(int64_t outputs) { return ceil_div(outputs, panel_width(outputs)); }

// R neighbouring outputs of a row times V vectors of output channels.
template <int R, int V>
[[gnu::noinline]] void pass_tile(const Pass& p, Range rows, const float* source, const float* bias, const float* packed,
                                 float* out, int64_t columns) {
  const int64_t width = panel_width(p.outputs);
  // Fetched while the sums grow: the stores of a tile would wait for its lines one by one.
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < V; ++j) __builtin_prefetch(out + i * p.out_pixel + j * kLanes, 1);
  vf acc[R][V];
  start_tile(acc, bias);
  // Neighbouring taps of a row are neighbouring memory unless channels are grouped or taps dilated: one long run.
  const bool joined = p.tap_w * p.source_pixel == p.depth;
  const int64_t runs = joined ? 1 : p.taps_w, length = joined ? p.taps_w * p.depth : p.depth;
  packed += rows.first * p.taps_w * p.depth * width;
  for (int64_t ty = rows.first; ty < rows.last; ++ty) {
    const float* row = source + ty * p.tap_h * p.source_row;
    for (int64_t r = 0; r < runs; ++r) {
      multiply_add(acc, row + r * p.tap_w * p.source_pixel, p.move_w * p.source_pixel, 1, packed, width, length);
      packed += length * width;
    }
  }
  store_tile(acc, out, p.out_pixel, columns);
}

// rows x cols outputs of one group, panels first .. last of them; packed: [panel]([bias] if with_bias, then taps x
// depth rows) of panel_width.
inline void run_pass(const Pass& p, const float* source, const float* packed, bool with_bias, float* out, int64_t rows,
                     int64_t cols, Range panels) {
  const int64_t width = panel_width(p.outputs), tiles = tile_count(cols);
  const int64_t panel_floats = (p.taps_h * p.taps_w * p.depth + (with_bias ? 1 : 0)) * width;
  packed += panels.first * panel_floats;
  for (int64_t panel = panels.first; panel < panels.last; ++panel, packed += panel_floats) {
    const int64_t first = panel * width, columns = min64(width, p.outputs - first);
    const float* bias = with_bias ? packed : nullptr;
    const float* weights = packed + (with_bias ? width : 0);
    for (int64_t i = 0; i < rows; ++i) {
      const Range inside = row_taps(p, i, i);
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t j = tile_row(cols, tiles, t);
        const float* from = source + i * p.move_h * p.source_row + j * p.move_w * p.source_pixel;
        float* to = out + i * p.out_row + j * p.out_pixel + first;
        with_rows(tile_row(cols, tiles, t + 1) - j, [&](auto height) {
          constexpr int R = decltype(height)::value;
          if (columns <= kLanes)
            pass_tile<R, 1>(p, inside, from, bias, weights, to, columns);
          else
            pass_tile<R, 2>(p, inside, from, bias, weights, to, columns);
        });
      }
    }
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// What direct.cpp, dot.cpp and planar.cpp compute in both directions: a source image with its padding in place, a
// regular grid of taps, and an output grid. One Pass computes
//   out[i][j][o] = bias[o] + sum over taps (ty, tx) and depth d of
//                  source[i * move_h + ty * tap_h][j * move_w + tx * tap_w][d] * packed[ty][tx][d][o]
// Forward is one pass that moves by the stride (forward.h); backward_input is stride_h * stride_w passes that move by
// one, each over the taps that reach its pixels, so no zero is multiplied (backward_input.h).
#pragma once
#include "core/tile.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

struct Pass {
  int64_t taps_h, taps_w, tap_h, tap_w;  // how many taps, and source pixels from one to the next
  int64_t move_h, move_w;                // source pixels from one output to the next
  int64_t depth, outputs;                // channels of source and output in a group
  int64_t source_row, source_pixel;      // floats from a source row (pixel) to the next
  int64_t out_row, out_pixel;            // floats from an output row (pixel) to the next
  // Source rows and columns in the image, counted from the source pointer. Taps beyond them meet zeros only.
  int64_t row_first = INT64_MIN / 2, row_last = INT64_MAX / 2;
  int64_t col_first = INT64_MIN / 2, col_last = INT64_MAX / 2;
  bool biased = false;  // each panel of filters begins with its bias
};

struct Range {
  int64_t first, last;
};

// Taps t of `taps` for which some of the positions low .. high, moved by t * step, lie in [first, last).
inline Range taps_inside(int64_t low, int64_t high, int64_t step, int64_t taps, int64_t first, int64_t last) {
  const int64_t begin = high >= first ? 0 : min64(taps, ceil_div(first - high, step));
  const int64_t end = low >= last ? 0 : min64(taps, (last - 1 - low) / step + 1);
  return {begin, max64(begin, end)};
}

// Taps of a kernel's rows that outputs of rows i .. j need; likewise columns.
inline Range row_taps(const Pass& p, int64_t i, int64_t j) {
  return taps_inside(i * p.move_h, j * p.move_h, p.tap_h, p.taps_h, p.row_first, p.row_last);
}
inline Range col_taps(const Pass& p, int64_t i, int64_t j) {
  return taps_inside(i * p.move_w, j * p.move_w, p.tap_w, p.taps_w, p.col_first, p.col_last);
}

// Output channels are computed a panel at a time: one vector of them, or two.
inline int64_t panel_width(int64_t outputs) { return outputs <= kLanes ? kLanes : 2 * kLanes; }
inline int64_t panel_count(int64_t outputs) { return ceil_div(outputs, panel_width(outputs)); }

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

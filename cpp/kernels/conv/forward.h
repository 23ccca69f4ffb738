// What the algorithms of conv2d_forward share: y (n, oh, ow, k) from x (n, h, w, c) and w (k, c / groups, kh, kw).
// Tasks are blocks of rows of an image. Where the image needs padding, or is n, c, h, w in memory, its window is
// copied to scratch first: one read and one write beside k * kh * kw multiply-adds.
#pragma once
#include "blocks.h"
#include "core/finish.h"
#include "core/window.h"
#include "geometry.h"
#include "pass.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

inline int64_t forward_rows(const Conv2d& g, bool copied) {
  const int64_t floats = extent_of(g.ow, g.stride_w, g.dilation_w, g.kw) * g.c * g.stride_h;
  return block_rows(g.n, g.oh, g.ow, g.ow * g.k * group_depth(g) * g.kh * g.kw, copied ? floats : 0,
                    g.dilation_h * (g.kh - 1));
}
inline int64_t forward_rows(const Conv2d& g) { return forward_rows(g, !reads_in_place(g)); }

inline int64_t forward_blocks(const Conv2d& g, int64_t rows) {
  return g.k == 0 || g.ow == 0 ? 0 : g.n * ceil_div(g.oh, rows);
}

inline Window forward_window(const Conv2d& g, int64_t first, int64_t rows) {
  return {first * g.stride_h - g.pad_top, -g.pad_left, extent_of(rows, g.stride_h, g.dilation_h, g.kh),
          extent_of(g.ow, g.stride_w, g.dilation_w, g.kw)};
}

inline int64_t forward_tasks(const Conv2dForward& a) { return forward_blocks(a.g, forward_rows(a.g)); }

inline int64_t forward_scratch(const Conv2dForward& a) {
  const Window win = forward_window(a.g, 0, forward_rows(a.g));
  return reads_in_place(a.g) ? 0 : win.rows * win.cols * a.g.c;
}

// What a block of rows is computed from and to: the pass of group 0, and its source in the image or in scratch.
struct ForwardBlock {
  Pass pass;
  const float* source;
  float* out;
};

inline ForwardBlock forward_block(const Conv2dForward& a, const Block& block, float* scratch) {
  const Conv2d& g = a.g;
  const float* image = a.x + block.n * g.h * g.w * g.c;
  Pass p{g.kh, g.kw, g.dilation_h, g.dilation_w, g.stride_h, g.stride_w, group_depth(g), group_outputs(g),
         0,    g.c,  g.ow * g.k,   g.k};
  p.biased = true;
  float* out = a.y + (block.n * g.oh + block.first) * g.ow * g.k;
  if (reads_in_place(g)) {
    p.source_row = g.w * g.c;
    return {p, image + block.first * g.stride_h * p.source_row, out};
  }
  const Window win = forward_window(g, block.first, block.rows);
  copy_window(image, g.h, g.w, g.c, g.x_nchw, win, scratch);
  p.source_row = win.cols * g.c;
  p.row_first = -win.y, p.row_last = g.h - win.y;
  p.col_first = -win.x, p.col_last = g.w - win.x;
  return {p, scratch, out};
}

// What comes after the sums of rows of an image, from `out` on, of each pixel `channels` neighbours.
inline void finish_rows(const Conv2dForward& a, float* out, int64_t rows, int64_t channels) {
  if (!a.relu && !a.residual) return;
  const bool whole = channels == a.g.k;
  finish(out, a.residual ? a.residual + (out - a.y) : nullptr, a.relu, rows, a.g.ow * a.g.k, whole ? 1 : a.g.ow, a.g.k,
         whole ? a.g.ow * channels : channels);
}

// A panel of filters: [bias, then the rows of all taps and channels][width].
inline int64_t forward_panels(const Conv2d& g) { return panel_count(group_outputs(g)); }
inline int64_t forward_panel_floats(const Conv2d& g) {
  return (g.kh * g.kw * group_depth(g) + 1) * panel_width(group_outputs(g));
}
inline int64_t forward_pack_floats(const Conv2dForward& a) {
  return a.g.groups * forward_panels(a.g) * forward_panel_floats(a.g);
}
inline int64_t forward_pack_tasks(const Conv2dForward& a) { return a.g.n == 0 ? 0 : a.g.groups * forward_panels(a.g); }

// The filters of a panel in w, and its bias at the front of the panel.
struct Filters {
  const float* weight;  // of the panel's first filter
  int64_t valid;        // filters
};

inline Filters start_panel(const Conv2dForward& a, int64_t index, float* panel) {
  const Conv2d& g = a.g;
  const int64_t width = panel_width(group_outputs(g)), panels = forward_panels(g);
  const int64_t first = index % panels * width, valid = min64(width, group_outputs(g) - first);
  const int64_t k0 = index / panels * group_outputs(g) + first;
  for (int64_t j = 0; j < width; ++j) panel[j] = a.bias && j < valid ? a.bias[k0 + j] : 0.0f;
  return {a.weight + k0 * group_depth(g) * g.kh * g.kw, valid};
}

// Panel `index` of w (k, c / groups, kh, kw), groups one after another: row tap * tap_step + c * depth_step of it.
inline void pack_panel(const Conv2dForward& a, int64_t index, int64_t tap_step, int64_t depth_step,
                       float* __restrict panel) {
  const int64_t depth = group_depth(a.g), taps = a.g.kh * a.g.kw, width = panel_width(group_outputs(a.g));
  const Filters filters = start_panel(a, index, panel);
  panel += width;
  for (int64_t c = 0; c < depth; ++c) {  // reads every filter front to back
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float* from = filters.weight + c * taps + tap;
      float* row = panel + (tap * tap_step + c * depth_step) * width;
      for (int64_t j = 0; j < filters.valid; ++j) row[j] = from[j * depth * taps];
      for (int64_t j = filters.valid; j < width; ++j) row[j] = 0.0f;
    }
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

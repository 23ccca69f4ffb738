// What the algorithms of conv2d_backward_input share: dx (n, h, w, c) from dy (n, oh, ow, k) and w (k, c / groups, kh,
// kw). Pixels of dx that meet the same taps form phases (phase.h), each a regular grid again. Tasks are blocks of rows
// of all phases; their window of dy is copied to scratch.
#pragma once
#include "blocks.h"
#include "core/window.h"
#include "geometry.h"
#include "pass.h"
#include "phase.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// First output row any phase reads for j = 0, and how many more than one are read.
inline int64_t lowest_row(int64_t pad, int64_t stride, int64_t dilation, int64_t taps) {
  return floor_div(pad - (taps - 1) * dilation, stride);
}
inline int64_t halo_rows(int64_t pad, int64_t stride, int64_t dilation, int64_t taps) {
  return floor_div(stride - 1 + pad, stride) - lowest_row(pad, stride, dilation, taps);
}

inline int64_t input_all_rows(const Conv2d& g) { return ceil_div(g.h, g.stride_h); }  // of the longest phase

inline int64_t input_rows(const Conv2d& g, bool copied) {
  const int64_t cols = ceil_div(g.w, g.stride_w) + halo_rows(g.pad_left, g.stride_w, g.dilation_w, g.kw);
  return block_rows(g.n, input_all_rows(g), ceil_div(g.w, g.stride_w),
                    g.w * g.c * group_outputs(g) * g.kh * g.kw / g.stride_w, copied ? cols * g.k : 0,
                    halo_rows(g.pad_top, g.stride_h, g.dilation_h, g.kh));
}
inline int64_t input_rows(const Conv2d& g) { return input_rows(g, true); }

inline int64_t input_blocks(const Conv2d& g, int64_t rows) {
  return g.c == 0 || g.w == 0 ? 0 : g.n * ceil_div(input_all_rows(g), rows);
}

inline Window input_window(const Conv2d& g, int64_t first, int64_t rows) {
  return {first + lowest_row(g.pad_top, g.stride_h, g.dilation_h, g.kh),
          lowest_row(g.pad_left, g.stride_w, g.dilation_w, g.kw),
          rows + halo_rows(g.pad_top, g.stride_h, g.dilation_h, g.kh),
          ceil_div(g.w, g.stride_w) + halo_rows(g.pad_left, g.stride_w, g.dilation_w, g.kw)};
}

inline int64_t input_tasks(const Conv2dBackwardInput& a) { return input_blocks(a.g, input_rows(a.g)); }

inline int64_t input_scratch(const Conv2dBackwardInput& a) {
  const Window win = input_window(a.g, 0, input_rows(a.g));
  return win.rows * win.cols * a.g.k;
}

// The phases, in the order of the packed filters: each_phase(g, f) calls f(y, x, phase of rows, phase of columns).
template <class F>
[[gnu::always_inline]] inline void each_phase(const Conv2d& g, const F& f) {
  for (int64_t y = 0; y < min64(g.stride_h, g.h); ++y) {
    const Phase py = phase_of(y, g.pad_top, g.stride_h, g.dilation_h, g.kh);
    for (int64_t x = 0; x < min64(g.stride_w, g.w); ++x)
      f(y, x, py, phase_of(x, g.pad_left, g.stride_w, g.dilation_w, g.kw));
  }
}

// Packed filters: [group][phase y][phase x][panel], transposed, each phase with its own taps, in descending order.
inline int64_t input_panels(const Conv2d& g) { return panel_count(group_depth(g)); }
inline int64_t input_group_floats(const Conv2d& g) {
  return input_panels(g) * panel_width(group_depth(g)) * g.kh * g.kw * group_outputs(g);
}
inline int64_t input_pack_floats(const Conv2dBackwardInput& a) { return a.g.groups * input_group_floats(a.g); }
inline int64_t input_pack_tasks(const Conv2dBackwardInput& a) {
  return a.g.n == 0 ? 0 : a.g.groups * input_panels(a.g);
}

// Of a panel and a phase: write(k, tap, from, valid) for every output channel k of the group and tap of the phase,
// where from[j * kh * kw] are the filters' weights for `valid` channels of x.
template <class Write>
[[gnu::always_inline]] inline void each_tap(const Conv2dBackwardInput& a, int64_t group, int64_t panel, const Phase& py,
                                            const Phase& px, const Write& write) {
  const Conv2d& g = a.g;
  const int64_t depth = group_depth(g), outputs = group_outputs(g), taps = g.kh * g.kw;
  const int64_t first = panel * panel_width(depth), valid = min64(panel_width(depth), depth - first);
  for (int64_t k = 0; k < outputs; ++k) {  // reads a filter's piece once, for all taps
    for (int64_t ty = 0; ty < py.taps; ++ty) {
      for (int64_t tx = 0; tx < px.taps; ++tx) {
        const int64_t tap = (py.first_tap - ty * py.tap_step) * g.kw + px.first_tap - tx * px.tap_step;
        write(k, ty * px.taps + tx, a.weight + ((group * outputs + k) * depth + first) * taps + tap, valid);
      }
    }
  }
}

// pack_phase(group, panel, phase of rows, phase of columns, to) for the tasks, each a panel of a group.
template <class PackPhase>
[[gnu::always_inline]] inline void each_packed_phase(const Conv2dBackwardInput& a, int64_t begin, int64_t end,
                                                     float* packed, const PackPhase& pack_phase) {
  const Conv2d& g = a.g;
  const int64_t panels = input_panels(g), tap_floats = group_outputs(g) * panel_width(group_depth(g));
  for (int64_t task = begin; task < end; ++task) {
    const int64_t group = task / panels, panel = task % panels;
    float* out = packed + group * input_group_floats(g);
    each_phase(g, [&](int64_t, int64_t, const Phase& py, const Phase& px) {
      pack_phase(group, panel, py, px, out + panel * py.taps * px.taps * tap_floats);
      out += panels * py.taps * px.taps * tap_floats;
    });
  }
}

// One panel of a phase, rows (ky, kx descending, k), or (k, ky, kx) where channels are outermost.
inline void pack_phase(const Conv2dBackwardInput& a, int64_t group, int64_t panel, const Phase& py, const Phase& px,
                       bool channels_outermost, float* __restrict out) {
  const int64_t outputs = group_outputs(a.g), taps = a.g.kh * a.g.kw, width = panel_width(group_depth(a.g));
  each_tap(a, group, panel, py, px, [&](int64_t k, int64_t tap, const float* from, int64_t valid) {
    float* row = out + (channels_outermost ? k * py.taps * px.taps + tap : tap * outputs + k) * width;
    for (int64_t j = 0; j < valid; ++j) row[j] = from[j * taps];
    for (int64_t j = valid; j < width; ++j) row[j] = 0.0f;
  });
}

// Every pass of a block: run(pass, source, packed, out, rows, cols), from a window of dy at `copy` whose rows (pixels)
// are source_row (source_pixel) floats apart.
template <class Run>
[[gnu::always_inline]] inline void each_pass(const Conv2dBackwardInput& a, const Block& block, const Window& win,
                                             const float* copy, int64_t source_row, int64_t source_pixel,
                                             const Run& run) {
  const Conv2d& g = a.g;
  for (int64_t group = 0; group < g.groups; ++group) {
    const float* packed = a.packed + group * input_group_floats(g);
    each_phase(g, [&](int64_t y, int64_t x, const Phase& py, const Phase& px) {
      Pass p{py.taps,
             px.taps,
             py.row_step,
             px.row_step,
             1,
             1,
             group_outputs(g),
             group_depth(g),
             source_row,
             source_pixel,
             g.stride_h * g.w * g.c,
             g.stride_w * g.c};
      p.row_first = -(py.first_row + block.first), p.row_last = g.oh + p.row_first;
      p.col_first = -px.first_row, p.col_last = g.ow + p.col_first;
      const float* source = copy + group * p.depth;
      if (py.taps && px.taps)
        source += (py.first_row + block.first - win.y) * source_row + (px.first_row - win.x) * source_pixel;
      const int64_t y0 = y + block.first * g.stride_h;
      float* out = a.dx + ((block.n * g.h + y0) * g.w + x) * g.c + group * p.outputs;
      const int64_t rows = min64(block.rows, max64(0, ceil_div(g.h - y0, g.stride_h)));
      const int64_t cols = max64(0, ceil_div(g.w - x, g.stride_w));
      run(p, source, packed, out, rows, cols);
      packed += panel_count(p.outputs) * panel_width(p.outputs) * py.taps * px.taps * p.depth;
    });
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

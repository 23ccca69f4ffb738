// conv2d with one filter per channel (groups == c == k), several (groups == c), or few channels to a group and as many
// out as in: the lanes
// are channels, there is nothing to multiply as matrices. Forward and backward_input are Sweeps: an output pixel is the
// sum over the taps of source pixels times filters. Channel e of every group is spread over its group's lanes first,
// for each e in turn. Range outside the image are skipped, so nothing is padded or copied unless x is n, c, h, w in
// memory.
//   packed, in vectors of whole groups: [vector] bias, then [vector][e][ky][kx]
// The gradient of the filters is in conv2d_depthwise_weight.cpp.
#include "conv2d.h"
#include "conv2d_direct.h"
#include "conv2d_phase.h"
#include "conv2d_sweep.h"
#include "core/window.h"

namespace fastnn {
namespace FASTNN_ISA {
int64_t depthwise_workspace(const Conv2d& g, bool with_bias) {
  const int64_t depth = with_bias ? g.c / g.groups : g.k / g.groups;
  return conv2d_spans(g) * kLanes * (g.kh * g.kw * depth + (with_bias ? 1 : 0));
}

void depthwise_pack_forward(const Conv2dForward& a) {
  const Conv2d& g = a.g;
  const int64_t spans = conv2d_spans(g), row = g.kh * g.kw * (g.c / g.groups);
  const int64_t span = conv2d_span(g) / (g.c / g.groups) * (g.k / g.groups);
  float* out = a.packed + spans * kLanes;
  for (int64_t v = 0; v < spans; ++v, out += row * kLanes) {
    const int64_t k0 = v * span, n = min64(span, g.k - k0);
    for (int64_t j = 0; j < kLanes; ++j) a.packed[v * kLanes + j] = a.bias && j < n ? a.bias[k0 + j] : 0.0f;
    if (n < kLanes) __builtin_memset(out, 0, row * kLanes * sizeof(float));
    transpose_rows(a.weight + k0 * row, row, n, row, out, kLanes);
  }
}

// Channel e of a group of dy meets what its filter has for each channel of x.
void depthwise_pack_backward(const Conv2dBackwardInput& a) {
  const Conv2d& g = a.g;
  const int64_t span = conv2d_span(g), spans = conv2d_spans(g), depth = g.c / g.groups, outputs = g.k / g.groups;
  const int64_t taps = g.kh * g.kw;
  float* out = a.packed;
  for (int64_t v = 0; v < spans; ++v, out += outputs * taps * kLanes) {
    const int64_t c0 = v * span, n = min64(span, g.c - c0);
    if (n < kLanes) __builtin_memset(out, 0, outputs * taps * kLanes * sizeof(float));
    if (outputs == 1) {
      transpose_rows(a.weight + c0 * taps, taps, n, taps, out, kLanes);
      continue;
    }
    for (int64_t j = 0; j < n; ++j) {
      const int64_t group = (c0 + j) / depth, channel = (c0 + j) % depth;
      const float* from = a.weight + (group * outputs * depth + channel) * taps;
      for (int64_t e = 0; e < outputs; ++e)
        for (int64_t t = 0; t < taps; ++t) out[(e * taps + t) * kLanes + j] = from[e * depth * taps + t];
    }
  }
}

void depthwise_forward(const Conv2dForward& a, int64_t n, int64_t first_row, int64_t last_row, float* scratch) {
  const Conv2d& g = a.g;
  Sweep s{a.x + n * g.h * g.w * g.c,
          g.w * g.c,
          g.c,
          g.h,
          g.w,
          g.k,
          g.c / g.groups,
          g.k / g.groups,
          -g.pad_top,
          -g.pad_left,
          g.stride_h,
          g.stride_w,
          g.dilation_h,
          g.dilation_w,
          g.kh,
          g.kw,
          a.packed,
          a.packed + conv2d_spans(g) * kLanes,
          g.kw * kLanes,
          kLanes,
          g.kh * g.kw * kLanes,
          g.ow * g.k,
          g.k};
  if (g.x_nchw) {  // a copy of what the rows see, which begins at their first tap
    const Window win{first_row * g.stride_h - g.pad_top, -g.pad_left,
                     conv2d_extent(last_row - first_row, g.stride_h, g.dilation_h, g.kh),
                     conv2d_extent(g.ow, g.stride_w, g.dilation_w, g.kw)};
    copy_window(s.source, g.h, g.w, g.c, true, win, scratch);
    s.source = scratch, s.rows = win.rows, s.cols = win.cols;
    s.source_row = win.cols * g.c;
    s.at_h -= win.y, s.at_w -= win.x;
  }
  sweep_rows(s, first_row, last_row, g.oh, g.ow, a.y + n * g.oh * s.out_row);
}

// Rows first .. last of every phase. Range run backwards through the filters.
void depthwise_backward_input(const Conv2dBackwardInput& a, int64_t n, int64_t first, int64_t last) {
  const Conv2d& g = a.g;
  for (int64_t y = 0; y < min64(g.stride_h, g.h); ++y) {
    const Phase py = phase_of(y, g.pad_top, g.stride_h, g.dilation_h, g.kh);
    for (int64_t x = 0; x < min64(g.stride_w, g.w); ++x) {
      const Phase px = phase_of(x, g.pad_left, g.stride_w, g.dilation_w, g.kw);
      const bool none = py.taps == 0 || px.taps == 0;
      const Sweep s{a.dy + n * g.oh * g.ow * g.k,
                    g.ow * g.k,
                    g.k,
                    g.oh,
                    g.ow,
                    g.c,
                    g.k / g.groups,
                    g.c / g.groups,
                    none ? 0 : py.first_row,
                    none ? 0 : px.first_row,
                    1,
                    1,
                    py.row_step,
                    px.row_step,
                    none ? 0 : py.taps,
                    none ? 0 : px.taps,
                    nullptr,
                    a.packed + (none ? 0 : (py.first_tap * g.kw + px.first_tap) * kLanes),
                    -py.tap_step * g.kw * kLanes,
                    -px.tap_step * kLanes,
                    g.kh * g.kw * kLanes,
                    g.stride_h * g.w * g.c,
                    g.stride_w * g.c};
      const int64_t rows = ceil_div(max64(0, g.h - y), g.stride_h), cols = ceil_div(max64(0, g.w - x), g.stride_w);
      sweep_rows(s, first, min64(last, rows), rows, cols, a.dx + ((n * g.h + y) * g.w + x) * g.c);
    }
  }
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

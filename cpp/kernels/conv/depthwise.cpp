// conv2d forward and backward_input with one filter per channel (groups == c == k), several (groups == c), or few
// channels to a group and as many out as in: the lanes are channels, there is nothing to multiply as matrices. Both are
// Sweeps: an output pixel is the sum over the taps of source pixels times filters. Channel e of every group is spread
// over its group's lanes first, for each e in turn. Taps outside the image are skipped, so nothing is padded or copied
// unless x is n, c, h, w in memory.
//   packed, in vectors of whole groups: [vector] bias, then [vector][e][ky][kx]
#include "algorithms.h"
#include "backward_input.h"
#include "depthwise_sweep.h"
#include "forward.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t forward_floats(const Conv2dForward& a) {
  return lane_spans(a.g) * kLanes * (a.g.kh * a.g.kw * group_depth(a.g) + 1);
}
int64_t forward_packs(const Conv2dForward& a) { return a.g.n == 0 ? 0 : 1; }

void forward_pack(const Conv2dForward& a, int64_t begin, int64_t end, float* packed) {
  if (begin == end) return;
  const Conv2d& g = a.g;
  const int64_t spans = lane_spans(g), row = g.kh * g.kw * (g.c / g.groups);
  const int64_t span = lane_span(g) / (g.c / g.groups) * (g.k / g.groups);
  float* out = packed + spans * kLanes;
  for (int64_t v = 0; v < spans; ++v, out += row * kLanes) {
    const int64_t k0 = v * span, n = min64(span, g.k - k0);
    for (int64_t j = 0; j < kLanes; ++j) packed[v * kLanes + j] = a.bias && j < n ? a.bias[k0 + j] : 0.0f;
    if (n < kLanes) __builtin_memset(out, 0, row * kLanes * sizeof(float));
    transpose_rows(a.weight + k0 * row, row, n, row, out, kLanes);
  }
}

int64_t input_floats(const Conv2dBackwardInput& a) {
  return lane_spans(a.g) * kLanes * a.g.kh * a.g.kw * group_outputs(a.g);
}
int64_t input_packs(const Conv2dBackwardInput& a) { return a.g.n == 0 ? 0 : 1; }

// Channel e of a group of dy meets what its filter has for each channel of x.
void input_pack(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* out) {
  if (begin == end) return;
  const Conv2d& g = a.g;
  const int64_t span = lane_span(g), spans = lane_spans(g), depth = g.c / g.groups, outputs = g.k / g.groups;
  const int64_t taps = g.kh * g.kw;
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

void forward_rows_of(const Conv2dForward& a, const Block& block, float* scratch) {
  const Conv2d& g = a.g;
  Sweep s{a.x + block.n * g.h * g.w * g.c,
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
          a.packed + lane_spans(g) * kLanes,
          g.kw * kLanes,
          kLanes,
          g.kh * g.kw * kLanes,
          g.ow * g.k,
          g.k};
  if (g.x_nchw) {  // a copy of what the rows see, which begins at their first tap
    const Window win = forward_window(g, block.first, block.rows);
    copy_window(s.source, g.h, g.w, g.c, true, win, scratch);
    s.source = scratch, s.rows = win.rows, s.cols = win.cols;
    s.source_row = win.cols * g.c;
    s.at_h -= win.y, s.at_w -= win.x;
  }
  float* out = a.y + block.n * g.oh * s.out_row;
  sweep_rows(s, block.first, block.first + block.rows, g.oh, g.ow, out);
  finish_rows(a, out + block.first * s.out_row, block.rows, g.k);
}

int64_t sweep_tasks(const Conv2dForward& a) { return forward_blocks(a.g, forward_rows(a.g, a.g.x_nchw)); }

int64_t copy_floats(const Conv2dForward& a) {
  const Window win = forward_window(a.g, 0, forward_rows(a.g, a.g.x_nchw));
  return a.g.x_nchw ? win.rows * win.cols * a.g.c : 0;
}

void forward(const Conv2dForward& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t rows = forward_rows(a.g, a.g.x_nchw);
  for (int64_t task = begin; task < end; ++task) forward_rows_of(a, block_at(task, a.g.oh, rows), scratch);
}

// The rows of every phase. Taps run backwards through the filters.
void input_rows_of(const Conv2dBackwardInput& a, const Block& block) {
  const Conv2d& g = a.g;
  each_phase(g, [&](int64_t y, int64_t x, const Phase& py, const Phase& px) {
    const bool none = py.taps == 0 || px.taps == 0;
    const Sweep s{a.dy + block.n * g.oh * g.ow * g.k,
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
    sweep_rows(s, block.first, min64(block.first + block.rows, rows), rows, cols,
               a.dx + ((block.n * g.h + y) * g.w + x) * g.c);
  });
}

int64_t sweep_tasks(const Conv2dBackwardInput& a) { return input_blocks(a.g, input_rows(a.g, false)); }

void backward_input(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float*) {
  const int64_t rows = input_rows(a.g, false);
  for (int64_t task = begin; task < end; ++task) input_rows_of(a, block_at(task, input_all_rows(a.g), rows));
}

}  // namespace

const Packing<Conv2dForward> depthwise_forward_pack = {forward_floats, forward_packs, forward_pack};
const Kernel<Conv2dForward> depthwise_forward = {{{sweep_tasks, copy_floats, forward}}};
const Packing<Conv2dBackwardInput> depthwise_backward_input_pack = {input_floats, input_packs, input_pack};
const Kernel<Conv2dBackwardInput> depthwise_backward_input = {{{sweep_tasks, nullptr, backward_input}}};

}  // namespace FASTNN_ISA
}  // namespace fastnn

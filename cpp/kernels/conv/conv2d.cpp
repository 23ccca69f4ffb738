// conv2d_forward: y (n, oh, ow, k) from x (n, h, w, c) and w (k, c / groups, kh, kw).
// Tasks are blocks of rows of an image. Where the image needs padding, or is n, c, h, w in memory, its window is
// copied to scratch first: one read and one write beside k * kh * kw multiply-adds.
// The gradients are in conv2d_input.cpp and conv2d_weight.cpp, one filter per channel in conv2d_depthwise.cpp.
#include "conv2d.h"

#include "contract/conv.h"
#include "conv2d_direct.h"
#include "conv2d_dot.h"
#include "conv2d_planar.h"
#include "core/window.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t forward_rows(const Conv2d& g) {
  const bool copied = !(conv2d_is_depthwise(g) ? !g.x_nchw : conv2d_reads_in_place(g));
  const int64_t floats = conv2d_extent(g.ow, g.stride_w, g.dilation_w, g.kw) * g.c * g.stride_h;
  return block_rows(g.n, g.oh, g.ow, g.ow * g.k * group_depth(g) * g.kh * g.kw, copied ? floats : 0,
                    g.dilation_h * (g.kh - 1));
}

int64_t forward_parts(const Conv2d& g) {
  if (g.groups > 1 || conv2d_algorithm(g) != Conv2dAlgorithm::direct) return 1;
  return panel_parts(g.n * ceil_div(g.oh, forward_rows(g)), panel_count(g.k));
}

Window forward_window(const Conv2d& g, int64_t first, int64_t rows) {
  return {first * g.stride_h - g.pad_top, -g.pad_left, conv2d_extent(rows, g.stride_h, g.dilation_h, g.kh),
          conv2d_extent(g.ow, g.stride_w, g.dilation_w, g.kw)};
}

int64_t forward_tasks(const Conv2dForward& a) {
  if (a.g.k == 0 || a.g.ow == 0) return 0;
  if (conv2d_winograd_side(a.g)) return winograd_tasks(a);
  return a.g.n * ceil_div(a.g.oh, forward_rows(a.g)) * forward_parts(a.g);
}

int64_t forward_scratch(const Conv2dForward& a) {
  const Conv2d& g = a.g;
  if (conv2d_winograd_side(g)) return winograd_scratch(a);
  const Window win = forward_window(g, 0, forward_rows(g));
  if (conv2d_algorithm(g) == Conv2dAlgorithm::planar) return planar_scratch(win, g.c, g.k);
  return conv2d_reads_in_place(g) ? 0 : win.rows * win.cols * g.c;
}

int64_t forward_panel_floats(const Conv2d& g) {
  return (g.kh * g.kw * group_depth(g) + 1) * panel_width(group_outputs(g));
}

// packed [group][panel][bias, then (ky, kx, c)][width] from w (k, c / groups, kh, kw); planar: (c, ky, kx), dot: see
// conv2d_dot.h
int64_t forward_pack_tasks(const Conv2dForward& a) {
  if (a.g.n == 0) return 0;
  if (conv2d_winograd_side(a.g)) return winograd_pack_tasks(a.g);
  return conv2d_is_depthwise(a.g) ? 1 : a.g.groups * panel_count(group_outputs(a.g));
}

void forward_pack_panel(const Conv2dForward& a, int64_t group, int64_t panel, float* __restrict out) {
  const Conv2d& g = a.g;
  const int64_t depth = group_depth(g), taps = g.kh * g.kw, width = panel_width(group_outputs(g));
  const int64_t first = panel * width, valid = min64(width, group_outputs(g) - first);
  const int64_t k0 = group * group_outputs(g) + first;
  const Conv2dAlgorithm algorithm = conv2d_algorithm(g);
  for (int64_t j = 0; j < width; ++j) out[j] = a.bias && j < valid ? a.bias[k0 + j] : 0.0f;
  out += width;
  for (int64_t c = 0; c < depth; ++c) {  // reads every filter front to back
    for (int64_t tap = 0; tap < taps; ++tap) {
      const float* from = a.weight + (k0 * depth + c) * taps + tap;
      if (algorithm == Conv2dAlgorithm::dot) {
        float* row = out + dot_index(tap * depth + c, valid);
        for (int64_t j = 0; j < valid; ++j) row[j * kLanes] = from[j * depth * taps];
        continue;
      }
      float* row = out + (algorithm == Conv2dAlgorithm::planar ? c * taps + tap : tap * depth + c) * width;
      for (int64_t j = 0; j < valid; ++j) row[j] = from[j * depth * taps];
      for (int64_t j = valid; j < width; ++j) row[j] = 0.0f;
    }
  }
}

void forward_pack(const Conv2dForward& a, int64_t begin, int64_t end, float*) {
  if (conv2d_winograd_side(a.g)) return winograd_pack(a, begin, end);
  if (conv2d_is_depthwise(a.g)) return depthwise_pack_forward(a);
  const int64_t panels = panel_count(group_outputs(a.g));
  for (int64_t task = begin; task < end; ++task)
    forward_pack_panel(a, task / panels, task % panels, a.packed + task * forward_panel_floats(a.g));
}

// The part of the panels concerns one group only.
void forward_block(const Conv2dForward& a, int64_t n, int64_t first, int64_t rows, int64_t part, float* scratch) {
  const Conv2d& g = a.g;
  const float* image = a.x + n * g.h * g.w * g.c;
  Pass p{g.kh, g.kw, g.dilation_h, g.dilation_w, g.stride_h, g.stride_w, group_depth(g), group_outputs(g),
         0,    g.c,  g.ow * g.k,   g.k};
  const float* source;
  if (conv2d_reads_in_place(g)) {
    p.source_row = g.w * g.c;
    source = image + first * g.stride_h * p.source_row;
  } else {
    const Window win = forward_window(g, first, rows);
    copy_window(image, g.h, g.w, g.c, g.x_nchw, win, scratch);
    p.source_row = win.cols * g.c;
    p.row_first = -win.y, p.row_last = g.h - win.y;
    p.col_first = -win.x, p.col_last = g.w - win.x;
    source = scratch;
  }
  float* out = a.y + (n * g.oh + first) * g.ow * g.k;
  if (conv2d_algorithm(g) == Conv2dAlgorithm::dot) return run_dot_pass(p, source, a.packed, true, out, rows, g.ow);
  const int64_t panels = panel_count(p.outputs), parts = forward_parts(g);
  for (int64_t group = 0; group < g.groups; ++group)
    run_pass(p, source + group * p.depth, a.packed + group * panels * forward_panel_floats(g), true,
             out + group * p.outputs, rows, g.ow, {panels * part / parts, panels * (part + 1) / parts});
}

void planar_block(const Conv2dForward& a, int64_t n, int64_t first, int64_t rows, float* scratch) {
  const Conv2d& g = a.g;
  const Window win = forward_window(g, first, rows);
  const Planes planes = planes_of(win);
  copy_planes(a.x + n * g.h * g.w * g.c, g.h, g.w, g.c, g.x_nchw, win, scratch);
  Pass p{g.kh, g.kw, g.dilation_h, g.dilation_w, 1, 1, g.c, g.k, planes.pitch, 1, g.ow * g.k, g.k};
  p.row_first = -win.y, p.row_last = g.h - win.y;
  run_planar_pass(p, planes, scratch, a.packed, true, a.y + (n * g.oh + first) * g.ow * g.k, rows, g.ow,
                  scratch + g.c * planes.plane);
}

void forward(const Conv2dForward& a, int64_t begin, int64_t end, float* scratch) {
  if (conv2d_winograd_side(a.g)) return winograd_run(a, begin, end, scratch);
  const int64_t block = forward_rows(a.g), blocks = ceil_div(a.g.oh, block), parts = forward_parts(a.g);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t n = task / parts / blocks, first = task / parts % blocks * block;
    const int64_t last = min64(a.g.oh, first + block);
    if (conv2d_is_depthwise(a.g))
      depthwise_forward(a, n, first, last, scratch);
    else if (conv2d_algorithm(a.g) == Conv2dAlgorithm::planar)
      planar_block(a, n, first, last - first, scratch);
    else
      forward_block(a, n, first, last - first, task % parts, scratch);
  }
}

int64_t workspace(const Conv2d& g) {
  if (conv2d_winograd_side(g)) return winograd_workspace(g);
  if (conv2d_is_depthwise(g)) return depthwise_workspace(g, true);
  return g.groups * panel_count(group_outputs(g)) * forward_panel_floats(g);
}

}  // namespace

void add_conv2d(ConvKernels& k) {
  k.conv2d_forward_algorithm = conv2d_algorithm;
  const auto floats = [](const Conv2dForward& a) { return workspace(a.g); };
  k.conv2d_forward_pack = {floats, forward_pack_tasks, forward_pack};
  k.conv2d_forward = {{{forward_tasks, forward_scratch, forward}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

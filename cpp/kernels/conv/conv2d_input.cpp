// conv2d_backward_input: dx (n, h, w, c) from dy (n, oh, ow, k) and w (k, c / groups, kh, kw).
// Pixels of dx that meet the same taps form phases (conv2d_phase.h), each a regular grid again.
// Few input channels leave most lanes of a vector empty: there the lanes are output channels (conv2d_dot.h), pixels
// (conv2d_planar.h), or the channels of a row of taps (conv2d_spread.h).
#include "contract/conv.h"
#include "conv2d.h"
#include "conv2d_direct.h"
#include "conv2d_dot.h"
#include "conv2d_phase.h"
#include "conv2d_planar.h"
#include "conv2d_spread.h"
#include "core/window.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

bool is_spread(const Conv2d& g) { return conv2d_input_algorithm(g) == Conv2dAlgorithm::spread; }

// First output row any phase reads for j = 0, and how many more than one are read.
int64_t lowest_row(int64_t pad, int64_t stride, int64_t dilation, int64_t taps) {
  return floor_div(pad - (taps - 1) * dilation, stride);
}
int64_t halo_rows(int64_t pad, int64_t stride, int64_t dilation, int64_t taps) {
  return floor_div(stride - 1 + pad, stride) - lowest_row(pad, stride, dilation, taps);
}

int64_t task_rows(const Conv2d& g) {
  const int64_t phase_rows = ceil_div(g.h, g.stride_h);
  const int64_t cols = ceil_div(g.w, g.stride_w) + halo_rows(g.pad_left, g.stride_w, g.dilation_w, g.kw);
  return block_rows(g.n, phase_rows, ceil_div(g.w, g.stride_w), g.w * g.c * group_outputs(g) * g.kh * g.kw / g.stride_w,
                    conv2d_is_depthwise(g) ? 0 : cols * g.k, halo_rows(g.pad_top, g.stride_h, g.dilation_h, g.kh));
}

int64_t blocks_of(const Conv2d& g) { return ceil_div(ceil_div(g.h, g.stride_h), task_rows(g)); }

int64_t parts_of(const Conv2d& g) {
  if (g.groups > 1 || conv2d_input_algorithm(g) != Conv2dAlgorithm::direct) return 1;
  return panel_parts(g.n * blocks_of(g), panel_count(g.c));
}

int64_t tasks(const Conv2dBackwardInput& a) {
  if (a.g.c == 0 || a.g.w == 0) return 0;
  if (conv2d_winograd_side(a.g)) return winograd_input_tasks(a);
  return a.g.n * blocks_of(a.g) * parts_of(a.g);
}

Window window(const Conv2d& g, int64_t first, int64_t rows) {
  return {first + lowest_row(g.pad_top, g.stride_h, g.dilation_h, g.kh),
          lowest_row(g.pad_left, g.stride_w, g.dilation_w, g.kw),
          rows + halo_rows(g.pad_top, g.stride_h, g.dilation_h, g.kh),
          ceil_div(g.w, g.stride_w) + halo_rows(g.pad_left, g.stride_w, g.dilation_w, g.kw)};
}

int64_t scratch_floats(const Conv2dBackwardInput& a) {
  if (conv2d_winograd_side(a.g)) return winograd_input_scratch(a);
  if (is_spread(a.g)) return spread_scratch(a.g);
  if (conv2d_is_depthwise(a.g)) return 0;
  const Window win = window(a.g, 0, task_rows(a.g));
  if (conv2d_input_algorithm(a.g) == Conv2dAlgorithm::planar) return planar_scratch(win, a.g.k, a.g.c);
  return win.rows * win.cols * a.g.k;
}

// packed [group][phase y][phase x][panel][(ky, kx descending, k)][width]: transposed, each phase with its own taps;
// planar: (k, ky, kx), dot and spread: see there
int64_t pack_tasks(const Conv2dBackwardInput& a) {
  if (a.g.n == 0) return 0;
  if (conv2d_winograd_side(a.g)) return winograd_input_pack_tasks(a.g);
  return conv2d_is_depthwise(a.g) || is_spread(a.g) ? 1 : a.g.groups * panel_count(group_depth(a.g));
}

void pack_phase(const Conv2dBackwardInput& a, int64_t group, int64_t panel, const Phase& py, const Phase& px,
                float* __restrict out) {
  const Conv2d& g = a.g;
  const int64_t depth = group_depth(g), outputs = group_outputs(g), taps = g.kh * g.kw, width = panel_width(depth);
  const int64_t first = panel * width, valid = min64(width, depth - first);
  const Conv2dAlgorithm algorithm = conv2d_input_algorithm(g);
  for (int64_t k = 0; k < outputs; ++k) {  // reads a filter's piece once, for all taps
    for (int64_t ty = 0; ty < py.taps; ++ty) {
      for (int64_t tx = 0; tx < px.taps; ++tx) {
        const int64_t tap = (py.first_tap - ty * py.tap_step) * g.kw + px.first_tap - tx * px.tap_step;
        const float* from = a.weight + ((group * outputs + k) * depth + first) * taps + tap;
        const int64_t at = ty * px.taps + tx;
        if (algorithm == Conv2dAlgorithm::dot) {
          float* row = out + dot_index(at * outputs + k, depth);
          for (int64_t j = 0; j < depth; ++j) row[j * kLanes] = from[j * taps];
          continue;
        }
        float* row =
            out + (algorithm == Conv2dAlgorithm::planar ? k * py.taps * px.taps + at : at * outputs + k) * width;
        for (int64_t j = 0; j < valid; ++j) row[j] = from[j * taps];
        for (int64_t j = valid; j < width; ++j) row[j] = 0.0f;
      }
    }
  }
}

int64_t group_floats(const Conv2d& g) {
  return panel_count(group_depth(g)) * panel_width(group_depth(g)) * g.kh * g.kw * group_outputs(g);
}

int64_t workspace(const Conv2d& g) {
  if (conv2d_winograd_side(g)) return winograd_input_workspace(g);
  if (is_spread(g)) return g.kh * g.k * spread_width(g);
  return conv2d_is_depthwise(g) ? depthwise_workspace(g, false) : g.groups * group_floats(g);
}

void pack(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float*) {
  const Conv2d& g = a.g;
  if (conv2d_winograd_side(g)) return winograd_input_pack(a, begin, end);
  if (is_spread(g)) return pack_spread(a);
  if (conv2d_is_depthwise(g)) return depthwise_pack_backward(a);
  const int64_t panels = panel_count(group_depth(g)), tap_floats = group_outputs(g) * panel_width(group_depth(g));
  for (int64_t task = begin; task < end; ++task) {
    const int64_t group = task / panels, panel = task % panels;
    float* out = a.packed + group * group_floats(g);
    for (int64_t y = 0; y < min64(g.stride_h, g.h); ++y) {
      for (int64_t x = 0; x < min64(g.stride_w, g.w); ++x) {
        const Phase py = phase_of(y, g.pad_top, g.stride_h, g.dilation_h, g.kh);
        const Phase px = phase_of(x, g.pad_left, g.stride_w, g.dilation_w, g.kw);
        pack_phase(a, group, panel, py, px, out + panel * py.taps * px.taps * tap_floats);
        out += panels * py.taps * px.taps * tap_floats;
      }
    }
  }
}

// The part of the panels concerns one group only.
void run_block(const Conv2dBackwardInput& a, int64_t n, int64_t first, int64_t rows, int64_t part, float* scratch) {
  const Conv2d& g = a.g;
  const Window win = window(g, first, rows);
  const Conv2dAlgorithm algorithm = conv2d_input_algorithm(g);
  const bool planar = algorithm == Conv2dAlgorithm::planar;
  const Planes planes = planes_of(win);
  const float* dy = a.dy + n * g.oh * g.ow * g.k;
  if (planar)
    copy_planes(dy, g.oh, g.ow, g.k, false, win, scratch);
  else
    copy_window(dy, g.oh, g.ow, g.k, false, win, scratch);
  const int64_t panels = panel_count(group_depth(g)), parts = parts_of(g);
  const int64_t source_row = planar ? planes.pitch : win.cols * g.k, source_pixel = planar ? 1 : g.k;
  for (int64_t group = 0; group < g.groups; ++group) {
    const float* packed = a.packed + group * group_floats(g);
    for (int64_t y = 0; y < min64(g.stride_h, g.h); ++y) {
      const Phase py = phase_of(y, g.pad_top, g.stride_h, g.dilation_h, g.kh);
      for (int64_t x = 0; x < min64(g.stride_w, g.w); ++x) {
        const Phase px = phase_of(x, g.pad_left, g.stride_w, g.dilation_w, g.kw);
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
        p.row_first = -(py.first_row + first), p.row_last = g.oh + p.row_first;
        p.col_first = -px.first_row, p.col_last = g.ow + p.col_first;
        const float* source = scratch + group * p.depth;
        if (py.taps && px.taps)
          source += (py.first_row + first - win.y) * p.source_row + (px.first_row - win.x) * source_pixel;
        const int64_t y0 = y + first * g.stride_h;
        float* out = a.dx + ((n * g.h + y0) * g.w + x) * g.c + group * p.outputs;
        const int64_t out_rows = min64(rows, max64(0, ceil_div(g.h - y0, g.stride_h)));
        const int64_t out_cols = max64(0, ceil_div(g.w - x, g.stride_w));
        if (planar)
          run_planar_pass(p, planes, source, packed, false, out, out_rows, out_cols, scratch + g.k * planes.plane);
        else if (algorithm == Conv2dAlgorithm::dot)
          run_dot_pass(p, source, packed, false, out, out_rows, out_cols);
        else
          run_pass(p, source, packed, false, out, out_rows, out_cols,
                   {panels * part / parts, panels * (part + 1) / parts});
        packed += panel_count(p.outputs) * panel_width(p.outputs) * py.taps * px.taps * p.depth;
      }
    }
  }
}

void run(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* scratch) {
  if (conv2d_winograd_side(a.g)) return winograd_input_run(a, begin, end, scratch);
  const int64_t block = task_rows(a.g), all = ceil_div(a.g.h, a.g.stride_h), blocks = blocks_of(a.g);
  const int64_t parts = parts_of(a.g);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t n = task / parts / blocks, first = task / parts % blocks * block, last = min64(all, first + block);
    if (conv2d_is_depthwise(a.g))
      depthwise_backward_input(a, n, first, last);
    else if (is_spread(a.g))
      run_spread(a, n, first, last, scratch);
    else
      run_block(a, n, first, last - first, task % parts, scratch);
  }
}

}  // namespace

void add_conv2d_input(ConvKernels& k) {
  k.conv2d_backward_input_algorithm = conv2d_input_algorithm;
  const auto floats = [](const Conv2dBackwardInput& a) { return workspace(a.g); };
  k.conv2d_backward_input_pack = {floats, pack_tasks, pack};
  k.conv2d_backward_input = {{{tasks, scratch_floats, run}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

// conv2d forward and backward_input where the output channels would fill less than half a vector: pixels are its lanes
// instead. The source is copied to planes (planes.h); passes move by one pixel, with the source channels outermost:
// neighbouring taps then find their pixels in L1. Filters are packed in that order, [bias][d][ty][tx][kLanes].
#include "algorithms.h"
#include "backward_input.h"
#include "core/transpose.h"
#include "forward.h"
#include "planes.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <int R, int V>
[[gnu::noinline]] void planar_tile(const Pass& p, const Planes& from, Range rows, const float* source,
                                   const float* bias, const float* packed, float* out) {
  vf acc[R][V];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) acc[r][v] = splat(bias ? bias[r] : 0.0f);
  for (int64_t d = 0; d < p.depth; ++d, source += from.plane) {
    const float* row = packed + (d * p.taps_h + rows.first) * p.taps_w * kLanes;
    for (int64_t ty = rows.first; ty < rows.last; ++ty) {
      const float* x = source + ty * p.tap_h * from.pitch;
      for (int64_t tx = 0; tx < p.taps_w; ++tx, x += p.tap_w, row += kLanes) {
        vf w[R];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) w[r] = splat(row[r]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
          vf pixels = load(x + v * kLanes);
          keep(pixels);
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) acc[r][v] = fma(pixels, w[r], acc[r][v]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) store(out + r * from.plane + v * kLanes, acc[r][v]);
}

// Planes of R channels as rows of neighbouring pixels.
template <int R>
void store_pixels(const float* planes, const Planes& from, float* out, int64_t out_row, int64_t rows, int64_t cols) {
  for (int64_t i = 0; i < rows; ++i, planes += from.pitch, out += out_row) {
    if constexpr (R == 1) {
      __builtin_memcpy(out, planes, cols * sizeof(float));
    } else {
      for (int64_t j = 0; j < cols; j += kLanes)
        scatter_pairs<R>(planes + j, from.plane, min64(kLanes, cols - j), out + j * R);
    }
  }
}

// A pass from planes; packed: [bias] if biased, then the filters; scratch: outputs planes.
[[gnu::noinline]] void run_planar_pass(const Pass& p, const Planes& from, const float* source, const float* packed,
                                       float* out, int64_t rows, int64_t cols, float* scratch) {
  const int64_t positions = rows == 0 ? 0 : (rows - 1) * from.pitch + cols;
  with_rows(p.outputs, [&](auto height) {
    constexpr int R = decltype(height)::value;
    if constexpr (R <= kMaxPlanes) {
      constexpr int V = planar_vectors(R);
      for (int64_t i = 0; i < positions; i += V * kLanes)
        planar_tile<R, V>(p, from, row_taps(p, i / from.pitch, (i + V * kLanes - 1) / from.pitch), source + i,
                          p.biased ? packed : nullptr, packed + (p.biased ? kLanes : 0), scratch + i);
      if (p.out_pixel == R) store_pixels<R>(scratch, from, out, p.out_row, rows, cols);
    }
  });
  if (p.out_pixel == p.outputs) return;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; j += kLanes)
      scatter_lanes(scratch + i * from.pitch + j, from.plane, p.outputs, min64(kLanes, cols - j),
                    out + i * p.out_row + j * p.out_pixel, p.out_pixel);
}

void forward_pack(const Conv2dForward& a, int64_t begin, int64_t end, float* packed) {
  for (int64_t task = begin; task < end; ++task)
    pack_panel(a, task, 1, a.g.kh * a.g.kw, packed + task * forward_panel_floats(a.g));
}

int64_t forward_planes(const Conv2dForward& a) {
  return planar_scratch(forward_window(a.g, 0, forward_rows(a.g)), a.g.c, a.g.k);
}

void forward(const Conv2dForward& a, int64_t begin, int64_t end, float* scratch) {
  const Conv2d& g = a.g;
  const int64_t rows = forward_rows(g);
  for (int64_t task = begin; task < end; ++task) {
    const Block block = block_at(task, g.oh, rows);
    const Window win = forward_window(g, block.first, block.rows);
    const Planes planes = planes_of(win);
    copy_planes(a.x + block.n * g.h * g.w * g.c, g.h, g.w, g.c, g.x_nchw, win, scratch);
    Pass p{g.kh, g.kw, g.dilation_h, g.dilation_w, 1, 1, g.c, g.k, planes.pitch, 1, g.ow * g.k, g.k};
    p.row_first = -win.y, p.row_last = g.h - win.y;
    p.biased = true;
    float* out = a.y + (block.n * g.oh + block.first) * g.ow * g.k;
    run_planar_pass(p, planes, scratch, a.packed, out, block.rows, g.ow, scratch + g.c * planes.plane);
    finish_rows(a, out, block.rows, g.k);
  }
}

void input_pack(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* packed) {
  each_packed_phase(a, begin, end, packed,
                    [&](int64_t group, int64_t panel, const Phase& py, const Phase& px, float* out) {
                      pack_phase(a, group, panel, py, px, true, out);
                    });
}

int64_t input_planes(const Conv2dBackwardInput& a) {
  return planar_scratch(input_window(a.g, 0, input_rows(a.g)), a.g.k, a.g.c);
}

void backward_input(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* scratch) {
  const Conv2d& g = a.g;
  const int64_t rows = input_rows(g);
  for (int64_t task = begin; task < end; ++task) {
    const Block block = block_at(task, input_all_rows(g), rows);
    const Window win = input_window(g, block.first, block.rows);
    const Planes planes = planes_of(win);
    copy_planes(a.dy + block.n * g.oh * g.ow * g.k, g.oh, g.ow, g.k, false, win, scratch);
    each_pass(a, block, win, scratch, planes.pitch, 1,
              [&](const Pass& p, const float* source, const float* packed, float* out, int64_t out_rows, int64_t cols) {
                run_planar_pass(p, planes, source, packed, out, out_rows, cols, scratch + g.k * planes.plane);
              });
  }
}

}  // namespace

const Packing<Conv2dForward> planar_forward_pack = {forward_pack_floats, forward_pack_tasks, forward_pack};
const Kernel<Conv2dForward> planar_forward = {{{forward_tasks, forward_planes, forward}}};
const Packing<Conv2dBackwardInput> planar_backward_input_pack = {input_pack_floats, input_pack_tasks, input_pack};
const Kernel<Conv2dBackwardInput> planar_backward_input = {{{input_tasks, input_planes, backward_input}}};

}  // namespace FASTNN_ISA
}  // namespace fastnn

// conv2d forward and backward_input as plain sums, with output channels as the lanes: every shape.
// packed: forward [group][panel][bias, then (ky, kx, c)][width], backward_input as backward_input.h says.
#include "algorithms.h"
#include "backward_input.h"
#include "forward.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

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

// rows x cols outputs of one group, panels first .. last of them; packed: [panel]([bias] if biased, then taps x
// depth rows) of panel_width.
[[gnu::noinline]] void run_pass(const Pass& p, const float* source, const float* packed, float* out, int64_t rows,
                                int64_t cols, Range panels) {
  const int64_t width = panel_width(p.outputs), tiles = tile_count(cols);
  const int64_t panel_floats = (p.taps_h * p.taps_w * p.depth + (p.biased ? 1 : 0)) * width;
  packed += panels.first * panel_floats;
  for (int64_t panel = panels.first; panel < panels.last; ++panel, packed += panel_floats) {
    const int64_t first = panel * width, columns = min64(width, p.outputs - first);
    const float* bias = p.biased ? packed : nullptr;
    const float* weights = packed + (p.biased ? width : 0);
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

// Parts of the panels, where there are few blocks. They concern one group only.
int64_t forward_parts(const Conv2d& g) {
  return g.groups > 1 ? 1 : panel_parts(g.n * ceil_div(g.oh, forward_rows(g)), forward_panels(g));
}
int64_t input_parts(const Conv2d& g) {
  return g.groups > 1 ? 1 : panel_parts(g.n * ceil_div(input_all_rows(g), input_rows(g)), input_panels(g));
}
Range panels_of(int64_t panels, int64_t part, int64_t parts) {
  return {panels * part / parts, panels * (part + 1) / parts};
}

void forward_pack(const Conv2dForward& a, int64_t begin, int64_t end, float* packed) {
  for (int64_t task = begin; task < end; ++task)
    pack_panel(a, task, group_depth(a.g), 1, packed + task * forward_panel_floats(a.g));
}

int64_t forward_part_tasks(const Conv2dForward& a) { return forward_tasks(a) * forward_parts(a.g); }

void forward(const Conv2dForward& a, int64_t begin, int64_t end, float* scratch) {
  const Conv2d& g = a.g;
  const int64_t rows = forward_rows(g), parts = forward_parts(g), panels = forward_panels(g);
  for (int64_t task = begin; task < end; ++task) {
    const Block block = block_at(task / parts, g.oh, rows);
    const ForwardBlock b = forward_block(a, block, scratch);
    const Range part = panels_of(panels, task % parts, parts);
    for (int64_t group = 0; group < g.groups; ++group)
      run_pass(b.pass, b.source + group * b.pass.depth, a.packed + group * panels * forward_panel_floats(g),
               b.out + group * b.pass.outputs, block.rows, g.ow, part);
    const int64_t first = part.first * panel_width(g.k), last = part.last * panel_width(g.k);
    if (parts == 1)
      finish_rows(a, b.out, block.rows, g.k);
    else
      finish_rows(a, b.out + first, block.rows, min64(g.k, last) - first);
  }
}

void input_pack(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* packed) {
  each_packed_phase(a, begin, end, packed,
                    [&](int64_t group, int64_t panel, const Phase& py, const Phase& px, float* out) {
                      pack_phase(a, group, panel, py, px, false, out);
                    });
}

int64_t input_part_tasks(const Conv2dBackwardInput& a) { return input_tasks(a) * input_parts(a.g); }

void backward_input(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* scratch) {
  const Conv2d& g = a.g;
  const int64_t rows = input_rows(g), parts = input_parts(g);
  for (int64_t task = begin; task < end; ++task) {
    const Block block = block_at(task / parts, input_all_rows(g), rows);
    const Window win = input_window(g, block.first, block.rows);
    copy_window(a.dy + block.n * g.oh * g.ow * g.k, g.oh, g.ow, g.k, false, win, scratch);
    const Range panels = panels_of(input_panels(g), task % parts, parts);
    each_pass(a, block, win, scratch, win.cols * g.k, g.k,
              [&](const Pass& p, const float* source, const float* packed, float* out, int64_t out_rows, int64_t cols) {
                run_pass(p, source, packed, out, out_rows, cols, panels);
              });
  }
}

}  // namespace

const Packing<Conv2dForward> direct_forward_pack = {forward_pack_floats, forward_pack_tasks, forward_pack};
const Kernel<Conv2dForward> direct_forward = {{{forward_part_tasks, forward_scratch, forward}}};
const Packing<Conv2dBackwardInput> direct_backward_input_pack = {input_pack_floats, input_pack_tasks, input_pack};
const Kernel<Conv2dBackwardInput> direct_backward_input = {{{input_part_tasks, input_scratch, backward_input}}};

}  // namespace FASTNN_ISA
}  // namespace fastnn

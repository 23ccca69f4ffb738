// conv2d_backward_weight as plain sums, with output channels as the lanes: every shape. An outer product that reads
// both operands as they lie: rows of the tile are channels of x (for undilated taps, the kw * c neighbouring floats
// that a row of taps sees), columns are channels of dy, and the sum runs over pixels. Tasks are those of
// backward_weight.h. A single image with enough channels is summed without a copy of dw: a tile takes all its taps in
// turn and goes to dw at once. Sums stay in registers through as many images as fit the cache together: of small ones,
// many.
#include "algorithms.h"
#include "backward_weight.h"
#include "core/transpose.h"
#include "direct_pixels.h"
#include "geometry.h"
#include "pass.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunkPixels = 256;  // a copy of dw costs about as much as a tenth of so many pixels

bool is_single(const Conv2d& g) { return g.n == 1 && group_depth(g) >= kMaxRows; }

// Units of dw for a single image: a tile of input channels, a panel of output channels, all taps.
int64_t single_units(const Conv2d& g) { return g.groups * panel_count(group_outputs(g)) * tile_count(group_depth(g)); }

// Units of dw for a chunk: one row of taps of one group, one panel of its output channels.
Chunks chunks(const Conv2d& g) {
  return chunks_of(g, g.groups * g.kh * panel_count(group_outputs(g)), g.n * g.oh * g.ow / kChunkPixels);
}

// R rows of dw (neighbouring floats of x from x0) times a panel of output channels, over all pixels.
template <int R, int V>
[[gnu::noinline]] void weight_tile(const Pixels& p, bool first, int64_t x0, int64_t k0, int64_t columns, float* dw,
                                   int64_t dw_row) {
  vf acc[R][V];
  if (first)
    start_tile(acc, nullptr);
  else
    load_tile(acc, dw, dw_row, columns);
  const int64_t last = columns - (V - 1) * kLanes;
  for (int64_t n = 0; n < p.images; ++n) {
    const float *x = p.x + x0 + n * p.x_image, *dy = p.dy + k0 + n * p.dy_image;
    for (int64_t row = 0; row < p.rows; ++row, x += p.x_row, dy += p.dy_row) {
      if (last == kLanes)
        multiply_add(acc, x, 1, p.x_pixel, dy, p.dy_pixel, p.cols);
      else
        multiply_add_ragged(acc, x, 1, p.x_pixel, dy, p.dy_pixel, p.cols, last);
    }
  }
  store_tile(acc, dw, dw_row, columns);
}

// One unit: `rows` rows of dw that see neighbouring floats of x from x0.
void weight_rows(const Pixels& p, bool first, int64_t x0, int64_t rows, int64_t k0, int64_t columns, float* dw,
                 int64_t dw_row) {
  const int64_t tiles = tile_count(rows);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t r = tile_row(rows, tiles, t);
    with_rows(tile_row(rows, tiles, t + 1) - r, [&](auto height) {
      constexpr int R = decltype(height)::value;
      if (columns <= kLanes)
        weight_tile<R, 1>(p, first, x0 + r, k0, columns, dw + r * dw_row, dw_row);
      else
        weight_tile<R, 2>(p, first, x0 + r, k0, columns, dw + r * dw_row, dw_row);
    });
  }
}

// partial [group][ky][kx][c][k]
void weight_unit(const Conv2d& g, const Source& s, int64_t unit, float* partial) {
  const int64_t depth = g.c / g.groups, outputs = g.k / g.groups, width = panel_width(outputs);
  const int64_t panels = panel_count(outputs), panel = unit % panels, ky = unit / panels % g.kh;
  const int64_t group = unit / panels / g.kh, columns = min64(width, outputs - panel * width);
  float* dw = partial + (group * g.kh + ky) * g.kw * depth * outputs + panel * width;
  const int64_t x0 = group * depth, k0 = group * outputs + panel * width;
  if (!taps_apart(g))
    return weight_rows(pixels_of(g, s, ky, 0, true), s.first, x0, g.kw * depth, k0, columns, dw, outputs);
  for (int64_t kx = 0; kx < g.kw; ++kx)
    weight_rows(pixels_of(g, s, ky, kx, false), s.first, x0, depth, k0, columns, dw + kx * depth * outputs, outputs);
}

// sums [c][ky][kx][output], for the channels of one tile
void single_unit(const Conv2dBackwardWeight& a, const Source& s, int64_t unit, float* sums) {
  const Conv2d& g = a.g;
  const int64_t depth = g.c / g.groups, outputs = g.k / g.groups, taps = g.kh * g.kw, width = panel_width(outputs);
  const int64_t tiles = tile_count(depth), panels = panel_count(outputs);
  const int64_t tile = unit % tiles, panel = unit / tiles % panels, group = unit / tiles / panels;
  const int64_t c0 = tile_row(depth, tiles, tile), rows = tile_row(depth, tiles, tile + 1) - c0;
  const int64_t columns = min64(width, outputs - panel * width), k0 = group * outputs + panel * width;
  for (int64_t ky = 0; ky < g.kh; ++ky)
    for (int64_t kx = 0; kx < g.kw; ++kx)
      weight_rows(pixels_of(g, s, ky, kx, !taps_apart(g)), true, group * depth + c0, rows, k0, columns,
                  sums + (ky * g.kw + kx) * width, taps * width);
  transpose_rows(sums, width, rows * taps, columns, a.dw + (k0 * depth + c0) * taps, depth * taps);
}

void run_single(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float* scratch) {
  if (begin == end) return;
  const int64_t units = single_units(a.g), tasks = min64(units, kWantedTasks);
  const Source s = source_of(a, 0, 1, true, scratch + kMaxRows * a.g.kh * a.g.kw * 2 * kLanes);  // once for all tasks
  for (int64_t unit = units * begin / tasks; unit < units * end / tasks; ++unit) single_unit(a, s, unit, scratch);
}

int64_t sum_tasks(const Conv2dBackwardWeight& a) {
  return is_single(a.g) ? min64(single_units(a.g), kWantedTasks) : chunks(a.g).tasks();
}

int64_t sum_scratch(const Conv2dBackwardWeight& a) {
  const Conv2d& g = a.g;
  const int64_t sums = is_single(g) ? kMaxRows * g.kh * g.kw * 2 * kLanes : 0;
  if (!copies(g)) return sums;
  const Window win = source_window(g);
  return sums + min64(g.n, images_together(g)) * win.rows * win.cols * g.c;
}

void sum(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float* scratch) {
  const Conv2d& g = a.g;
  if (is_single(g)) return run_single(a, begin, end, scratch);
  const int64_t together = images_together(g);
  each_chunk(a, chunks(g), begin, end, [&](const Chunk& chunk, int64_t first, int64_t last) {
    if (g.n == 0) __builtin_memset(chunk.partial, 0, dw_floats(g) * sizeof(float));
    for (int64_t n = chunk.first; n < chunk.last; n += together) {
      const Source s = source_of(a, n, min64(together, chunk.last - n), n == chunk.first, scratch);
      for (int64_t unit = first; unit < last; ++unit) weight_unit(g, s, unit, chunk.partial);
    }
  });
}

int64_t add_tasks(const Conv2dBackwardWeight& a) {
  return is_single(a.g) ? 0 : add_chunks_tasks(a.g, chunks(a.g).count);
}
void add(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float*) {
  add_chunks(a, chunks(a.g).count, begin, end);
}

int64_t workspace(const Conv2dBackwardWeight& a) { return is_single(a.g) ? 0 : chunks(a.g).count * dw_floats(a.g); }

}  // namespace

const Kernel<Conv2dBackwardWeight> direct_backward_weight = {
    {{sum_tasks, sum_scratch, sum}, {add_tasks, nullptr, add}}, workspace, &Conv2dBackwardWeight::partials};

}  // namespace FASTNN_ISA
}  // namespace fastnn

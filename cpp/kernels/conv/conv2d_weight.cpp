// conv2d_backward_weight: dw (k, c / groups, kh, kw) = sum over images and pixels of x at the tap times dy.
// An outer product that reads both operands as they lie: rows of the tile are channels of x (for undilated taps, the
// kw * c neighbouring floats that a row of taps sees), columns are channels of dy, and the sum runs over pixels.
//
// Tasks are chunks of images times parts of dw, both from the shape only. Each chunk sums its images in order into its
// own copy of dw, (ky, kx, c, k) in memory, and the chunks are added in a fixed tree. A single image with enough
// channels is summed without a copy: a tile takes all its taps in turn and goes to dw at once.
// Sums stay in registers through as many images as fit the cache together: of small ones, many.
#include "contract/conv.h"
#include "conv2d.h"
#include "conv2d_direct.h"
#include "conv2d_pixels.h"
#include "core/transpose.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kMaxChunks = 32;           // images are cut into at most this many chunks
constexpr int64_t kWantedTasks = 32;         // and dw into parts until there are so many tasks
constexpr int64_t kAhead = 4;                // channels that the reduction fetches ahead
constexpr int64_t kPartialFloats = 1 << 22;  // 16 MB for all copies of dw
constexpr int64_t kChunkPixels = 256;        // a copy costs about as much as a tenth of so many pixels

bool is_winograd(const Conv2d& g) { return conv2d_weight_algorithm(g) == Conv2dAlgorithm::winograd4; }
bool is_planar(const Conv2d& g) { return conv2d_weight_algorithm(g) == Conv2dAlgorithm::planar; }

int64_t dw_floats(const Conv2d& g) { return g.k * (g.c / g.groups) * g.kh * g.kw; }

int64_t chunk_count(const Conv2d& g) {
  const int64_t fits = max64(1, kPartialFloats / max64(1, dw_floats(g)));
  const bool direct = conv2d_weight_algorithm(g) == Conv2dAlgorithm::direct;
  const int64_t worth = direct ? g.n * g.oh * g.ow / kChunkPixels : kMaxChunks;
  return max64(1, min64(min64(min64(g.n, kMaxChunks), fits), worth));
}

// Units of dw that are computed alone: one row of taps of one group, one panel of its output channels. With a filter
// per channel, or few channels to a group, a vector of channels. With pixels as lanes, a tile of rows.
int64_t unit_count(const Conv2d& g) {
  if (is_planar(g)) return planar_weight_units(g);
  return conv2d_is_depthwise(g) ? conv2d_spans(g) : g.groups * g.kh * panel_count(g.k / g.groups);
}

int64_t part_count(const Conv2d& g) { return min64(unit_count(g), ceil_div(kWantedTasks, chunk_count(g))); }

bool is_single(const Conv2d& g) {
  return g.n == 1 && g.c / g.groups >= kMaxRows && conv2d_weight_algorithm(g) == Conv2dAlgorithm::direct;
}

// Units of dw for a single image: a tile of input channels, a panel of output channels, all taps.
int64_t single_units(const Conv2d& g) { return g.groups * panel_count(g.k / g.groups) * tile_count(g.c / g.groups); }

int64_t partial_floats(const Conv2d& g) {
  if (is_single(g)) return 0;
  return is_winograd(g) ? winograd_partials(g) : chunk_count(g) * dw_floats(g);
}

int64_t partial_tasks(const Conv2dBackwardWeight& a) {
  if (is_single(a.g)) return min64(single_units(a.g), kWantedTasks);
  return is_winograd(a.g) ? winograd_partial_tasks(a.g) : chunk_count(a.g) * part_count(a.g);
}

int64_t partial_scratch(const Conv2dBackwardWeight& a) {
  const Conv2d& g = a.g;
  if (is_winograd(g)) return winograd_partial_scratch(g);
  if (conv2d_is_depthwise(g)) return dw_floats(g) + (g.x_nchw ? g.c * g.h * g.w : 0);
  if (is_planar(g)) return planar_weight_scratch(g);
  const int64_t sums = is_single(g) ? kMaxRows * g.kh * g.kw * 2 * kLanes : 0;
  if (!copies(g)) return sums;
  const Window win = source_window(g);
  return sums + min64(g.n, images_together(g)) * win.rows * win.cols * g.c;
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

// Units first .. last of a chunk.
void run_chunk(const Conv2dBackwardWeight& a, int64_t chunk, int64_t first, int64_t last, float* scratch) {
  const Conv2d& g = a.g;
  const int64_t chunks = chunk_count(g), begin = g.n * chunk / chunks, end = g.n * (chunk + 1) / chunks;
  float* partial = a.partials + chunk * dw_floats(g);
  if (conv2d_is_depthwise(g)) {
    const int64_t c0 = first * conv2d_span(g), channels = min64(g.c, last * conv2d_span(g)) - c0;
    return depthwise_backward_weight(a, begin, end, c0, channels, partial, scratch);
  }
  if (g.n == 0) __builtin_memset(partial, 0, dw_floats(g) * sizeof(float));
  if (is_planar(g)) {
    for (int64_t n = begin; n < end; ++n) planar_backward_weight(a, n, n == begin, first, last, partial, scratch);
    return;
  }
  const int64_t together = images_together(g);
  for (int64_t n = begin; n < end; n += together) {
    const Source s = source_of(a, n, min64(together, end - n), n == begin, scratch);
    for (int64_t unit = first; unit < last; ++unit) weight_unit(g, s, unit, partial);
  }
}

// The tasks of a chunk that a thread has go together: they share the copies of its images.
void run_partial(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float* scratch) {
  if (is_winograd(a.g)) return winograd_partial(a, begin, end, scratch);
  if (is_single(a.g)) return run_single(a, begin, end, scratch);
  const int64_t parts = part_count(a.g), units = unit_count(a.g);
  while (begin < end) {
    const int64_t part = begin % parts, last = min64(parts, part + end - begin);
    run_chunk(a, begin / parts, units * part / parts, units * last / parts, scratch);
    begin += last - part;
  }
}

// The chunks are added pairwise, a vector of output channels at a time, and land in dw (k, c / groups, kh, kw).
int64_t channel_vectors(const Conv2d& g) { return g.groups * ceil_div(g.k / g.groups, kLanes); }

int64_t reduce_tasks(const Conv2dBackwardWeight& a) {
  if (is_single(a.g)) return 0;
  if (is_winograd(a.g)) return winograd_reduce_tasks(a.g);
  return min64(channel_vectors(a.g), max64(1, dw_floats(a.g) * chunk_count(a.g) >> 15));
}

// Sum of n lanes of every chunk, `step` floats apart, in a tree: each round adds the upper half to the lower.
vf chunk_sum(const float* p, int64_t step, int64_t chunks, int64_t n) {
  if (chunks == 1) return load_n(p, n);
  vf part[kMaxChunks];
  for (int64_t i = 0; i < chunks; ++i) part[i] = load_n(p + i * step, n);
  for (int64_t left = chunks; left > 1; left = ceil_div(left, 2))
    for (int64_t i = 0; i + ceil_div(left, 2) < left; ++i) part[i] += part[i + ceil_div(left, 2)];
  return part[0];
}

void reduce_channels(const Conv2dBackwardWeight& a, int64_t group, int64_t k0) {
  const Conv2d& g = a.g;
  const int64_t depth = g.c / g.groups, outputs = g.k / g.groups, taps = g.kh * g.kw, n = min64(kLanes, outputs - k0);
  const float* partial = a.partials + group * taps * depth * outputs + k0;
  float* dw = a.dw + (group * outputs + k0) * depth * taps;
  float rows[kLanes * kLanes];
  const int64_t copy = dw_floats(g), copies = chunk_count(g);
  int64_t c = 0, tap = 0;
  for (int64_t i = 0; i < depth * taps; i += kLanes) {  // (c, ky, kx), as dw lies
    const int64_t count = min64(kLanes, depth * taps - i);
    for (int64_t j = 0; j < count; ++j) {
      const float* from = partial + (tap * depth + c) * outputs;
      __builtin_prefetch(from + kAhead * outputs);
      store(rows + j * kLanes, chunk_sum(from, copy, copies, n));
      if (++tap == taps) tap = 0, ++c;
    }
    scatter_lanes(rows, kLanes, count, n, dw + i, depth * taps);
  }
}

void run_reduce(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float*) {
  if (is_winograd(a.g)) return winograd_reduce(a, begin, end);
  const int64_t vectors = channel_vectors(a.g), tasks = reduce_tasks(a), per_group = vectors / a.g.groups;
  for (int64_t v = vectors * begin / tasks; v < vectors * end / tasks; ++v)
    reduce_channels(a, v / per_group, v % per_group * kLanes);
}

}  // namespace

void add_conv2d_weight(ConvKernels& k) {
  k.conv2d_backward_weight_algorithm = conv2d_weight_algorithm;
  const auto floats = [](const Conv2dBackwardWeight& a) { return partial_floats(a.g); };
  k.conv2d_backward_weight = {{{partial_tasks, partial_scratch, run_partial}, {reduce_tasks, nullptr, run_reduce}},
                              floats,
                              &Conv2dBackwardWeight::partials};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

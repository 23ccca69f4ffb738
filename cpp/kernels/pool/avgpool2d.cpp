// avgpool2d: y (n, oh, ow, c) = means of x (n, h, w, c) over the windows; dx from dy.
// Vectors run over the channels. A window is added up row by row, then the rows: long sums stay short chains. Forward:
// a task is a block of output pixels. Backward: a task is a block of input rows, each made from the windows over it.
#include "contract/pool.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kTaskWork = 1 << 17;  // floats read or written by a task, a lane left empty counts

int64_t padded_channels(const AvgPool2d& g) { return ceil_div(g.c, 16) * 16; }

// Pixels [begin, end) of the image along one axis, and how many the window has with the padding.
struct Window {
  int64_t begin, end, pixels;
};

Window window(const PoolAxis& a, int64_t i) {
  if (a.kernel == 0) {
    const int64_t begin = i * a.size / a.count, end = ceil_div((i + 1) * a.size, a.count);
    return {begin, end, end - begin};
  }
  const int64_t start = i * a.stride - a.padding, end = min64(start + a.kernel, a.size + a.padding);
  return {max64(start, 0), min64(end, a.size), end - start};
}

vf divisor(const AvgPool2d& g, const Window& row, const Window& column) {
  if (g.divisor) return splat((float)g.divisor);
  if (g.count_padding) return splat((float)(row.pixels * column.pixels));
  return splat((float)((row.end - row.begin) * (column.end - column.begin)));
}

// The sum of one window for V vectors of channels, of which the last has `last` lanes.
template <int V>
[[gnu::always_inline]] inline void mean_lanes(const float* x, int64_t row_floats, int64_t pixel_floats, int64_t rows,
                                              int64_t columns, int64_t last, vf divide_by, float* y) {
  vf total[V] = {};
  for (int64_t r = 0; r < rows; ++r, x += row_floats) {
    vf sum[V] = {};
    for (int64_t i = 0; i < columns; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[v] += load_n(x + i * pixel_floats + v * kLanes, v < V - 1 ? kLanes : last);
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) total[v] += sum[v];
  }
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) store_n(y + v * kLanes, total[v] / divide_by, v < V - 1 ? kLanes : last);
}

void mean(const AvgPool2d& g, const float* x, const Window& row, const Window& column, float* y) {
  const int64_t rows = row.end - row.begin, columns = column.end - column.begin, row_floats = g.columns.size * g.c;
  const vf divide_by = divisor(g, row, column);
  x += row.begin * row_floats + column.begin * g.c;
  int64_t c = 0;
  for (; c + 4 * kLanes <= g.c; c += 4 * kLanes)
    mean_lanes<4>(x + c, row_floats, g.c, rows, columns, kLanes, divide_by, y + c);
  for (; c + kLanes <= g.c; c += kLanes) mean_lanes<1>(x + c, row_floats, g.c, rows, columns, kLanes, divide_by, y + c);
  if (c < g.c) mean_lanes<1>(x + c, row_floats, g.c, rows, columns, g.c - c, divide_by, y + c);
}

// Output pixels of a task, from the mean size of a window.
int64_t forward_pixels(const AvgPool2d& g) {
  const int64_t pixels = ceil_div(g.rows.size, g.rows.count) * ceil_div(g.columns.size, g.columns.count);
  return ceil_div(kTaskWork, pixels * padded_channels(g));
}

int64_t forward_tasks(const AvgPool2dForward& a) {
  const int64_t pixels = a.g.n * a.g.rows.count * a.g.columns.count;
  return a.g.c == 0 || pixels == 0 ? 0 : ceil_div(pixels, forward_pixels(a.g));
}

void forward(const AvgPool2dForward& a, int64_t begin, int64_t end, float*) {
  const AvgPool2d& g = a.g;
  const int64_t oh = g.rows.count, ow = g.columns.count, image = g.rows.size * g.columns.size * g.c;
  const int64_t pixels = forward_pixels(g), last = min64(end * pixels, g.n * oh * ow);
  int64_t p = begin * pixels, ox = p % ow, oy = p / ow % oh, n = p / (oh * ow);
  Window row = window(g.rows, oy);
  for (; p < last; ++p) {
    mean(g, a.x + n * image, row, window(g.columns, ox), a.y + p * g.c);
    if (++ox < ow) continue;
    ox = 0;
    if (++oy == oh) oy = 0, ++n;
    row = window(g.rows, oy);
  }
}

// Whether no pixel is in two windows: then dx is written, not added to.
bool is_disjoint(const PoolAxis& a) { return a.kernel ? a.kernel <= a.stride : a.count == 0 || a.size % a.count == 0; }

// Whether disjoint windows leave no pixel out.
bool is_complete(const PoolAxis& a) {
  return a.count > 0 && (a.kernel == 0 || a.kernel == a.stride) && window(a, a.count - 1).end == a.size;
}

// Adds to (or writes, where Write) one row of dx its share of an output row.
template <bool Write>
void spread_row(const AvgPool2d& g, const float* dy, const Window& row, float* dx) {
  for (int64_t ox = 0; ox < g.columns.count; ++ox, dy += g.c) {
    const Window column = window(g.columns, ox);
    const vf divide_by = divisor(g, row, column);
    for (int64_t c = 0; c < g.c; c += kLanes) {
      const int64_t n = min64(kLanes, g.c - c);
      const vf share = load_n(dy + c, n) / divide_by;
      for (int64_t x = column.begin; x < column.end; ++x) {
        float* to = dx + x * g.c + c;
        store_n(to, Write ? share : load_n(to, n) + share, n);
      }
    }
  }
}

int64_t backward_rows(const AvgPool2d& g) {
  return ceil_div(kTaskWork, max64(1, 2 * g.columns.size * padded_channels(g)));
}

int64_t backward_tasks(const AvgPool2dBackward& a) {
  return a.g.c == 0 ? 0 : ceil_div(a.g.n * a.g.rows.size, backward_rows(a.g));
}

void backward(const AvgPool2dBackward& a, int64_t begin, int64_t end, float*) {
  const AvgPool2d& g = a.g;
  const bool write = is_disjoint(g.rows) && is_disjoint(g.columns);
  const bool zero = !write || !is_complete(g.rows) || !is_complete(g.columns);
  const int64_t rows = backward_rows(g), h = g.rows.size, row_floats = g.columns.size * g.c;
  int64_t first = 0;  // the first window that ends below row y
  for (int64_t r = begin * rows; r < min64(end * rows, g.n * h); ++r) {
    const int64_t n = r / h, y = r % h;
    float* dx = a.dx + r * row_floats;
    if (zero) __builtin_memset(dx, 0, row_floats * sizeof(float));
    if (y == 0) first = 0;
    while (first < g.rows.count && window(g.rows, first).end <= y) ++first;
    for (int64_t oy = first; oy < g.rows.count; ++oy) {
      const Window row = window(g.rows, oy);
      if (row.begin > y) break;
      const float* dy = a.dy + (n * g.rows.count + oy) * g.columns.count * g.c;
      if (write)
        spread_row<true>(g, dy, row, dx);
      else
        spread_row<false>(g, dy, row, dx);
    }
  }
}

}  // namespace

void add_avgpool2d(PoolKernels& k) {
  k.avgpool2d_forward = {{{forward_tasks, nullptr, forward}}};
  k.avgpool2d_backward = {{{backward_tasks, nullptr, backward}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

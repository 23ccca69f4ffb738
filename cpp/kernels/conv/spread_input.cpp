// conv2d backward_input where its channels c would fill less than half a vector, but a row of taps kw * c of them fills
// one or two: the lanes are (kx, c), as dx lies in memory. A pixel of dy is multiplied into the kw pixels of dx that it
// reaches; stride 1, undilated rows.
//   dx[y][x][c] = sum over kx of row[x + pad_left - kx][kx][c], row[ox][kx][c] = sum over ky and k of
//                 dy[y + pad_top - ky * dilation][ox][k] * packed[ky][k][(kx, c)]
// Pixels of dy that are kw apart reach no pixel of dx both: they fill one line, kw lines are added up.
#include "algorithms.h"
#include "backward_input.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t spread_width(const Conv2d& g) { return panel_width(g.kw * g.c); }

int64_t spread_line(const Conv2d& g) { return (g.ow + g.kw) * g.c; }  // floats of a line, the last masked

int64_t lines_floats(const Conv2d& g) { return g.kw * spread_line(g); }

int64_t pack_floats(const Conv2dBackwardInput& a) { return a.g.kh * a.g.k * spread_width(a.g); }
int64_t pack_tasks(const Conv2dBackwardInput& a) { return a.g.n == 0 ? 0 : 1; }

void pack(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* out) {
  if (begin == end) return;
  const Conv2d& g = a.g;
  const int64_t width = spread_width(g);
  for (int64_t ky = 0; ky < g.kh; ++ky) {
    for (int64_t k = 0; k < g.k; ++k, out += width) {
      float* to = out;
      for (int64_t kx = 0; kx < g.kw; ++kx)
        for (int64_t c = 0; c < g.c; ++c) *to++ = a.weight[((k * g.c + c) * g.kh + ky) * g.kw + kx];
      while (to < out + width) *to++ = 0.0f;
    }
  }
}

// row[ox .. ox + R) into their lines.
template <int R, int V>
[[gnu::noinline]] void spread_tile(const Conv2d& g, const float* dy, Range taps, int64_t step, const float* packed,
                                   int64_t ox, float* lines) {
  vf acc[R][V];
  start_tile(acc, nullptr);
  for (int64_t ky = taps.first; ky < taps.last; ++ky)
    multiply_add(acc, dy + ky * step, g.k, 1, packed + ky * g.k * V * kLanes, V * kLanes, g.k);
  const int64_t last = g.kw * g.c - (V - 1) * kLanes;
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i) {
    float* to = lines + (ox + i) % g.kw * spread_line(g) + (ox + i) * g.c;
#pragma GCC unroll 2
    for (int j = 0; j < V - 1; ++j) store(to + j * kLanes, acc[i][j]);
    store_n(to + (V - 1) * kLanes, acc[i][V - 1], last);
  }
}

void spread_row(const Conv2d& g, const float* dy, Range taps, int64_t step, const float* packed, float* lines) {
  const int64_t tiles = tile_count(g.ow);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t ox = tile_row(g.ow, tiles, t);
    with_rows(tile_row(g.ow, tiles, t + 1) - ox, [&](auto height) {
      constexpr int R = decltype(height)::value;
      if (spread_width(g) == kLanes)
        spread_tile<R, 1>(g, dy + ox * g.k, taps, step, packed, ox, lines);
      else
        spread_tile<R, 2>(g, dy + ox * g.k, taps, step, packed, ox, lines);
    });
  }
}

void spread_rows(const Conv2dBackwardInput& a, const Block& block, float* lines) {
  const Conv2d& g = a.g;
  const int64_t line = spread_line(g), row = g.w * g.c;
  __builtin_memset(lines, 0, lines_floats(g) * sizeof(float));  // the same places of a line are written for every row
  for (int64_t y = block.first; y < block.first + block.rows; ++y) {
    float* dx = a.dx + (block.n * g.h + y) * row;
    // ky with 0 <= y + pad_top - ky * dilation < oh
    const int64_t top = y + g.pad_top;
    const Range taps{max64(0, ceil_div(top - g.oh + 1, g.dilation_h)), min64(g.kh, top / g.dilation_h + 1)};
    if (taps.first >= taps.last || g.ow == 0) {
      __builtin_memset(dx, 0, row * sizeof(float));
      continue;
    }
    spread_row(g, a.dy + (block.n * g.oh + top) * g.ow * g.k, taps, -g.dilation_h * g.ow * g.k, a.packed, lines);
    for (int64_t i = 0; i < row; i += kLanes) {
      const float* from = lines + g.pad_left * g.c + i;
      vf sum = load_n(from, row - i);
      for (int64_t kx = 1; kx < g.kw; ++kx) sum += load_n(from + kx * line, row - i);
      store_n(dx + i, sum, row - i);
    }
  }
}

int64_t scratch_floats(const Conv2dBackwardInput& a) { return lines_floats(a.g); }

void run(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t rows = input_rows(a.g);
  for (int64_t task = begin; task < end; ++task) spread_rows(a, block_at(task, a.g.h, rows), scratch);
}

}  // namespace

const Packing<Conv2dBackwardInput> spread_backward_input_pack = {pack_floats, pack_tasks, pack};
const Kernel<Conv2dBackwardInput> spread_backward_input = {{{input_tasks, scratch_floats, run}}};

}  // namespace FASTNN_ISA
}  // namespace fastnn

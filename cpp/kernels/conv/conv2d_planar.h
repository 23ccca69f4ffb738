// The direct convolution where the output channels would fill less than half a vector: pixels are its lanes instead.
// The source is copied to planes, [channel][row][column], with the padding in place. Rows follow one another, so a run
// of vectors goes on over their ends; what is computed for the padding is not stored.
// It computes a Pass (conv2d_direct.h) that moves by one pixel, with the source channels outermost: neighbouring taps
// then find their pixels in L1. Filters are packed in that order, [bias][d][ty][tx][kLanes].
#pragma once
#include "conv2d_direct.h"
#include "core/transpose.h"
#include "core/window.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kMaxPlanes = kLanes / 2;  // output channels
constexpr int64_t kMaxVectors = 8;          // of pixels in a tile

struct Planes {
  int64_t pitch, plane;  // floats from one row (channel) to the next
};

// Room after the rows for the last tile, which may reach over the end by less than a tile.
inline Planes planes_of(const Window& win) { return {win.cols, win.rows * win.cols + kMaxVectors * kLanes}; }

inline int64_t planar_scratch(const Window& win, int64_t depth, int64_t outputs) {
  return (depth + outputs) * planes_of(win).plane;
}

// Padding is short: a call of memset costs more than its stores.
[[gnu::always_inline]] inline void clear(float* to, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) store_n(to + i, vf{}, n - i);
}

// A window of an image, as copy_window, in planes.
inline void copy_planes(const float* image, int64_t h, int64_t w, int64_t c, bool nchw, const Window& win, float* out) {
  const Planes to = planes_of(win);
  const int64_t left = min64(win.cols, max64(0, -win.x)), right = max64(left, min64(win.cols, w - win.x));
  const int64_t n = right - left;
  for (int64_t r = 0; r < win.rows; ++r) {
    const int64_t y = win.y + r;
    const bool inside = y >= 0 && y < h;
    float* row = out + r * to.pitch;
    if (inside && (nchw || c == 1)) {
      for (int64_t d = 0; d < c; ++d)
        __builtin_memcpy(row + d * to.plane + left, image + (d * h + y) * w + win.x + left, n * sizeof(float));
    } else if (inside) {  // whole vectors: beyond the row's end, where zeros or the next row are written later
      const float* from = image + (y * w + win.x + left) * c;
      for (int64_t x = 0; x < n; x += kLanes)
        gather_lanes(from + x * c, c, c, min64(kLanes, n - x), row + left + x, to.plane);
    }
    for (int64_t d = 0; d < c; ++d) {
      clear(row + d * to.plane, inside ? left : to.pitch);
      if (inside) clear(row + d * to.plane + right, to.pitch - right);
    }
  }
  for (int64_t d = 0; d < c; ++d) clear(out + d * to.plane + win.rows * to.pitch, kMaxVectors * kLanes);
}

// R channels times V vectors of pixels, V as the registers allow: R * V sums, R filters, one vector of pixels.
constexpr int planar_vectors(int r) {
  const int fits = (static_cast<int>(kRegisters) - 2 - r) / r;
  return fits < kMaxVectors ? fits : static_cast<int>(kMaxVectors);
}

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

// As run_pass, from planes; scratch: outputs planes.
inline void run_planar_pass(const Pass& p, const Planes& from, const float* source, const float* packed, bool with_bias,
                            float* out, int64_t rows, int64_t cols, float* scratch) {
  const int64_t positions = rows == 0 ? 0 : (rows - 1) * from.pitch + cols;
  with_rows(p.outputs, [&](auto height) {
    constexpr int R = decltype(height)::value;
    if constexpr (R <= kMaxPlanes) {
      constexpr int V = planar_vectors(R);
      for (int64_t i = 0; i < positions; i += V * kLanes)
        planar_tile<R, V>(p, from, row_taps(p, i / from.pitch, (i + V * kLanes - 1) / from.pitch), source + i,
                          with_bias ? packed : nullptr, packed + (with_bias ? kLanes : 0), scratch + i);
      if (p.out_pixel == R) store_pixels<R>(scratch, from, out, p.out_row, rows, cols);
    }
  });
  if (p.out_pixel == p.outputs) return;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; j += kLanes)
      scatter_lanes(scratch + i * from.pitch + j, from.plane, p.outputs, min64(kLanes, cols - j),
                    out + i * p.out_row + j * p.out_pixel, p.out_pixel);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

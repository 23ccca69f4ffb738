// Images as planes, [channel][row][column], for planar.cpp and planar_weight.cpp, whose lanes are pixels. Padding is in
// place. Rows follow one another, so a run of vectors goes on over their ends; what is computed for the padding is not
// stored.
#pragma once
#include "core/tile.h"
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

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

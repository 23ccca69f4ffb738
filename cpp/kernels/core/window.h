// Copies of image windows: padding put in place, and n, c, h, w turned into channels-last, while a kernel needs them.
#pragma once
#include "simd.h"
#include "transpose.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// A window of an image (h, w, c), channels-last at out; pixels outside the image are zero. nchw: the image is (c, h,
// w).
struct Window {
  int64_t y, x, rows, cols;
};

// Few channels fill too little of a vector to turn them in registers.
inline void copy_row_nchw(const float* __restrict image, int64_t c, int64_t plane, int64_t n, float* __restrict out) {
  if (4 * c > kLanes) return transpose_rows(image, plane, c, n, out, c);
  for (int64_t x = 0; x < n; ++x)
    for (int64_t ch = 0; ch < c; ++ch) out[x * c + ch] = image[ch * plane + x];
}

inline void copy_window(const float* image, int64_t h, int64_t w, int64_t c, bool nchw, const Window& win, float* out) {
  const int64_t left = min64(win.cols, max64(0, -win.x)), right = max64(left, min64(win.cols, w - win.x));
  for (int64_t r = 0; r < win.rows; ++r, out += win.cols * c) {
    const int64_t y = win.y + r;
    if (y < 0 || y >= h) {
      __builtin_memset(out, 0, win.cols * c * sizeof(float));
      continue;
    }
    __builtin_memset(out, 0, left * c * sizeof(float));
    if (nchw)
      copy_row_nchw(image + y * w + win.x + left, c, h * w, right - left, out + left * c);
    else
      __builtin_memcpy(out + left * c, image + (y * w + win.x + left) * c, (right - left) * c * sizeof(float));
    __builtin_memset(out + right * c, 0, (win.cols - right) * c * sizeof(float));
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// The phases of a convolution's input gradient. Pixel y of dx meets tap ky at output row (y + pad - ky * dilation) /
// stride, where that divides. All pixels of a phase, y = phase + stride * j, meet the same taps, at rows j + offset.
// Phases beyond the image have no pixels and are left out. Columns likewise.
#pragma once
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

struct Phase {
  int64_t taps, first_tap, tap_step;  // ky = first_tap - t * tap_step, descending: rows ascend
  int64_t first_row, row_step;        // output row of tap t for j = 0: first_row + t * row_step
};

inline int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    const int64_t r = a % b;
    a = b;
    b = r;
  }
  return a;
}

inline int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -ceil_div(-a, b); }

inline Phase phase_of(int64_t phase, int64_t pad, int64_t stride, int64_t dilation, int64_t taps) {
  const int64_t common = gcd(stride, dilation);
  Phase p{0, -1, stride / common, 0, dilation / common};
  // The taps of a phase are tap_step apart. Undilated, the first of them is known.
  int64_t ky = dilation == 1 ? (phase + pad) % stride : 0;
  while (ky < min64(taps, p.tap_step) && (phase + pad - ky * dilation) % stride != 0) ++ky;
  if (ky >= min64(taps, p.tap_step)) return p;
  p.taps = (taps - 1 - ky) / p.tap_step + 1;
  p.first_tap = ky + (p.taps - 1) * p.tap_step;
  p.first_row = (phase + pad - p.first_tap * dilation) / stride;
  return p;
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

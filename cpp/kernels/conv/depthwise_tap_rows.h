// The gradient of a depthwise or grouped convolution's filters, taps of any number and distance: a row of them at a
// time, whose sums stay in registers along a row of pixels. depthwise_weight.cpp says what is summed.
#pragma once
#include "geometry.h"
#include "pass.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int kTaps = 4;      // of a row of the filter, in registers at a time
constexpr int kTogether = 4;  // output pixels

// One row of output pixels, `n` channels of it, and the image row that a row of taps sees.
struct Row {
  const float *x, *dy;         // of pixel 0
  int64_t x_pixel, dy_pixel;   // floats from one pixel to the next
  int64_t stride, cols, n, m;  // image columns from one output to the next; columns of the image; channels, of dy too
  bool grouped;
  vi lanes;  // of dy that meet those of x, where grouped
};

// sums[b] += sum over outputs first .. last of dy * x, `step` columns further for every b; at: column of output 0.
template <int B, bool grouped, bool whole>
[[gnu::always_inline]] inline void add_taps(const Row& r, int64_t at, int64_t step, Range outputs, float* sums,
                                            int64_t sums_row) {
  const auto read = [&r](const float* p) { return whole ? load(p) : load_n(p, r.n); };
  const auto gradient = [&](const float* p) { return grouped ? permute(load_n(p, r.m), r.lanes) : read(p); };
  constexpr int together = !whole && kRegisters == 16 ? 2 : kTogether;  // the mask takes registers too
  vf acc[B];
#pragma GCC unroll 4
  for (int b = 0; b < B; ++b) acc[b] = read(sums + b * sums_row);
  const float* x = r.x + (at + outputs.first * r.stride) * r.x_pixel;
  const float* dy = r.dy + outputs.first * r.dy_pixel;
  int64_t i = outputs.first;
  if (B > 1 && step == 1 && r.stride == 1) {  // neighbours read each pixel once
    for (; i + together <= outputs.last; i += together, x += together * r.x_pixel, dy += together * r.dy_pixel) {
      vf pixels[together + B - 1];
#pragma GCC unroll 8
      for (int p = 0; p < together + B - 1; ++p) pixels[p] = read(x + p * r.x_pixel);
#pragma GCC unroll 8
      for (int p = 0; p < together; ++p) {
        const vf d = gradient(dy + p * r.dy_pixel);
#pragma GCC unroll 4
        for (int b = 0; b < B; ++b) acc[b] = fma(pixels[p + b], d, acc[b]);
      }
    }
  }
  for (; i < outputs.last; ++i, x += r.stride * r.x_pixel, dy += r.dy_pixel) {
    const vf d = gradient(dy);
#pragma GCC unroll 4
    for (int b = 0; b < B; ++b) acc[b] = fma(read(x + b * step * r.x_pixel), d, acc[b]);
  }
#pragma GCC unroll 4
  for (int b = 0; b < B; ++b) {
    if (whole)
      store(sums + b * sums_row, acc[b]);
    else
      store_n(sums + b * sums_row, acc[b], r.n);
  }
}

template <int B>
[[gnu::noinline]] void add_taps(const Row& r, int64_t at, int64_t step, Range outputs, float* sums, int64_t sums_row) {
  if (outputs.first >= outputs.last) return;
  if (r.grouped)
    add_taps<B, true, false>(r, at, step, outputs, sums, sums_row);
  else if (r.n == kLanes)
    add_taps<B, false, true>(r, at, step, outputs, sums, sums_row);
  else
    add_taps<B, false, false>(r, at, step, outputs, sums, sums_row);
}

// A row of `taps` taps, `step` columns apart, the first at column `at` for output 0. Where all of them see the image
// they go together; the outputs at the borders, where only some do, follow one tap at a time.
inline void add_tap_row(const Row& r, int64_t at, int64_t step, int64_t taps, int64_t ow, float* sums,
                        int64_t sums_row) {
  // Outputs whose tap sees the image are found like taps: positions `stride` apart.
  const auto outputs = [&](int64_t tap) {
    return taps_inside(at + tap * step, at + tap * step, r.stride, ow, 0, r.cols);
  };
  for (int64_t t = 0; t < taps; t += kTaps) {
    const int64_t count = min64(kTaps, taps - t);
    const Range low = outputs(t), high = outputs(t + count - 1);
    Range common{low.first, high.last};
    if (common.last < common.first) common = {0, 0};
    with_rows(count, [&](auto n) {
      constexpr int B = decltype(n)::value;
      if constexpr (B <= kTaps) add_taps<B>(r, at + t * step, step, common, sums + t * sums_row, sums_row);
    });
    for (int64_t b = 0; b < count; ++b) {
      const Range all = outputs(t + b);
      float* sum = sums + (t + b) * sums_row;
      if (common.first == common.last) {
        add_taps<1>(r, at + (t + b) * step, step, all, sum, sums_row);
        continue;
      }
      add_taps<1>(r, at + (t + b) * step, step, {all.first, common.first}, sum, sums_row);
      add_taps<1>(r, at + (t + b) * step, step, {common.last, all.last}, sum, sums_row);
    }
  }
}

// An axis of the image: its pixels, outputs and taps, and floats from one of each to the next.
struct Axis {
  int64_t size, outputs, taps, stride, dilation, pad;
  int64_t x_step, dy_step, sums_step;
};

// Taps lie along rows, or along columns where these are longer than short rows, or have the only taps.
inline void any_image(const Conv2d& g, vi heads, const float* x, int64_t pixel, const float* dy, int64_t channels,
                      float* sums) {
  const int64_t span = lane_span(g), depth = g.c / g.groups, outputs = g.k / g.groups;
  Axis along{g.w, g.ow, g.kw, g.stride_w, g.dilation_w, g.pad_left, pixel, g.k, channels};
  Axis across{g.h, g.oh, g.kh, g.stride_h, g.dilation_h, g.pad_top, g.w * pixel, g.ow * g.k, g.kw * channels};
  if (g.oh > g.ow && (g.ow < 8 || (g.kw == 1 && g.kh > 1))) {
    const Axis rows = along;
    along = across, across = rows;
  }
  for (int64_t o = 0; o < across.outputs; ++o) {
    for (int64_t c = 0; c < channels; c += span) {
      for (int64_t tap = 0; tap < across.taps; ++tap) {
        const int64_t y = o * across.stride + tap * across.dilation - across.pad;
        if (y < 0 || y >= across.size) continue;
        for (int64_t e = 0; e < outputs; ++e) {
          const Row row{x + y * across.x_step + c,
                        dy + o * across.dy_step + c / depth * outputs,
                        along.x_step,
                        along.dy_step,
                        along.stride,
                        along.size,
                        min64(span, channels - c),
                        min64(span, channels - c) / depth * outputs,
                        outputs > 1,
                        heads + splat_int((int32_t)e)};
          add_tap_row(row, -along.pad, along.dilation, along.taps, along.outputs,
                      sums + e * g.kh * g.kw * channels + tap * across.sums_step + c, along.sums_step);
        }
      }
    }
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

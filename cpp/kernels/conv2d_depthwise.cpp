// conv2d with one filter per channel (groups == c == k): the lanes are channels, there is nothing to multiply as
// matrices. Forward and backward_input are Sweeps: an output pixel is the sum over the taps of source pixels times
// filters. Range outside the image are skipped, so nothing is padded or copied unless x is n, c, h, w in memory.
//   packed: [bias (c)] then [ky][kx][c]
// The gradient of the filters is in conv2d_depthwise_weight.cpp.
#include "conv2d.h"
#include "conv2d_direct.h"
#include "conv2d_phase.h"
#include "window.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// out[i][j][:] = bias + sum over taps (ty, tx) of source[at_h + i * move_h + ty * tap_h][at_w + j * move_w + tx *
// tap_w]
//                * filter[ty][tx]
struct Sweep {
  const float* source;
  int64_t rows, cols, channels;
  int64_t at_h, at_w, move_h, move_w, tap_h, tap_w, taps_h, taps_w;
  const float *bias, *filter;
  int64_t filter_row, filter_col;  // floats from one tap to the next
  int64_t out_row, out_pixel;
};

void pack_taps(const Conv2d& g, const float* __restrict weight, float* __restrict out) {
  transpose_rows(weight, g.kh * g.kw, g.c, g.kh * g.kw, out, g.c);
}

// W neighbouring pixels of `n` channels, at most a vector of them; more than one pixel have all the taps of a row.
template <int W, bool whole>
[[gnu::always_inline]] inline void channel_tile(const Sweep& s, const float* source, Range ty, Range tx,
                                                const float* filter, const float* bias, int64_t n, float* out) {
  const auto read = [n](const float* p) { return whole ? load(p) : load_n(p, n); };
  const int64_t row = s.tap_h * s.cols * s.channels, col = s.tap_w * s.channels, move = s.move_w * s.channels;
  vf acc[W];
#pragma GCC unroll 8
  for (int i = 0; i < W; ++i) acc[i] = bias ? read(bias) : vf{};
  for (int64_t y = ty.first; y < ty.last; ++y) {
    const float *p = source + y * row, *w = filter + y * s.filter_row;
    for (int64_t x = tx.first; x < tx.last; ++x) {
      const vf wx = read(w + x * s.filter_col);
#pragma GCC unroll 8
      for (int i = 0; i < W; ++i) acc[i] = fma(read(p + x * col + i * move), wx, acc[i]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < W; ++i) {
    if (whole)
      store(out + i * s.out_pixel, acc[i]);
    else
      store_n(out + i * s.out_pixel, acc[i], n);
  }
}

// The same for three neighbouring taps of which tx is all, or all but those that see the pixel left or right of the
// image: each source pixel is read once for the outputs that see it.
template <int W, bool whole>
[[gnu::always_inline]] inline void near_tile(const Sweep& s, const float* source, Range ty, Range seen,
                                             const float* filter, const float* bias, int64_t n, float* out) {
  const auto read = [n](const float* p) { return whole ? load(p) : load_n(p, n); };
  const int64_t row = s.tap_h * s.cols * s.channels;
  vf acc[W];
#pragma GCC unroll 8
  for (int i = 0; i < W; ++i) acc[i] = bias ? read(bias) : vf{};
  for (int64_t y = ty.first; y < ty.last; ++y) {
    const float *p = source + y * row, *w = filter + y * s.filter_row;
    const vf w0 = read(w), w1 = read(w + s.filter_col), w2 = read(w + 2 * s.filter_col);
#pragma GCC unroll 16
    for (int i = 0; i < W + 2; ++i) {
      if ((i == 0 && seen.first > 0) || (i == W + 1 && seen.last < W + 2)) continue;
      vf x = read(p + i * s.channels);
      keep(x);
      if (i < W) acc[i] = fma(x, w0, acc[i]);
      if (i > 0 && i <= W) acc[i - 1] = fma(x, w1, acc[i - 1]);
      if (i > 1) acc[i - 2] = fma(x, w2, acc[i - 2]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < W; ++i) {
    if (whole)
      store(out + i * s.out_pixel, acc[i]);
    else
      store_n(out + i * s.out_pixel, acc[i], n);
  }
}

// W neighbouring pixels; source: where tap (0, 0) of the first would be. tx: the taps that they all have, or, for
// three neighbouring taps, the source pixels that are inside the image.
template <int W, bool near>
[[gnu::noinline]] void pixels(const Sweep& s, const float* source, Range ty, Range tx, float* out) {
  const auto tile = [&](auto whole, int64_t c, int64_t n) __attribute__((always_inline)) {
    const float* bias = s.bias ? s.bias + c : nullptr;
    if (near)
      near_tile<W, decltype(whole)::value>(s, source + c, ty, tx, s.filter + c, bias, n, out + c);
    else
      channel_tile<W, decltype(whole)::value>(s, source + c, ty, tx, s.filter + c, bias, n, out + c);
  };
  int64_t c = 0;
  for (; c + kLanes <= s.channels; c += kLanes) tile(Rows<1>{}, c, kLanes);
  if (c < s.channels) tile(Rows<0>{}, c, s.channels - c);
}

// W columns of output from j on, rows first .. last: three rows of such a strip of the source stay in L1.
template <int W, bool near>
void strip(const Sweep& s, int64_t j, Range tx, int64_t first, int64_t last, float* out) {
  for (int64_t i = first; i < last; ++i) {
    const int64_t y = s.at_h + i * s.move_h;
    pixels<W, near>(s, s.source + (y * s.cols + s.at_w + j * s.move_w) * s.channels,
                    taps_inside(y, y, s.tap_h, s.taps_h, 0, s.rows), tx, out + i * s.out_row + j * s.out_pixel);
  }
}

constexpr int64_t kNear = kMaxRows < 8 ? kMaxRows : 8;  // pixels of a tile

// Rows first .. last of the output, `cols` pixels each: those at the borders alone, with the taps they have. Three
// neighbouring taps leave to the borders only what is more than one pixel out.
void sweep(const Sweep& s, int64_t first, int64_t last, int64_t cols, float* out) {
  const bool near = s.taps_w == 3 && s.tap_w == 1 && s.move_w == 1;
  const int64_t over = near ? 1 : 0;
  const int64_t left = min64(cols, s.at_w + over >= 0 ? 0 : ceil_div(-over - s.at_w, s.move_w));
  const int64_t room = s.cols - 1 + over - (s.taps_w - 1) * s.tap_w - s.at_w;
  const int64_t right = max64(left, min64(cols, room >= 0 ? room / s.move_w + 1 : 0));
  const auto border = [&](int64_t j) {
    const int64_t x = s.at_w + j * s.move_w;
    strip<1, false>(s, j, taps_inside(x, x, s.tap_w, s.taps_w, 0, s.cols), first, last, out);
  };
  const Range all{0, s.taps_w};
  int64_t j = 0;
  for (; j < left; ++j) border(j);
  const int64_t inside = right - left, tiles = ceil_div(inside, kNear);
  for (int64_t t = 0; near && t < tiles; ++t) {
    j = left + tile_row(inside, tiles, t);
    const int64_t width = left + tile_row(inside, tiles, t + 1) - j, x = s.at_w + j;
    with_rows(width, [&](auto n) {
      constexpr int W = decltype(n)::value;
      if constexpr (W <= kNear) strip<W, true>(s, j, {max64(0, -x), min64(W + 2, s.cols - x)}, first, last, out);
    });
    j += width;
  }
  for (; j + 8 <= right; j += 8) strip<8, false>(s, j, all, first, last, out);
  for (; j + 3 <= right; j += 3) strip<3, false>(s, j, all, first, last, out);
  for (; j < right; ++j) strip<1, false>(s, j, all, first, last, out);
  for (; j < cols; ++j) border(j);
}

}  // namespace

void depthwise_pack_forward(const Conv2dForward& a) {
  for (int64_t c = 0; c < a.g.c; ++c) a.packed[c] = a.bias ? a.bias[c] : 0.0f;
  pack_taps(a.g, a.weight, a.packed + a.g.c);
}

void depthwise_pack_backward(const Conv2dBackwardInput& a) { pack_taps(a.g, a.weight, a.packed); }

void depthwise_forward(const Conv2dForward& a, int64_t n, int64_t first_row, int64_t last_row, float* scratch) {
  const Conv2d& g = a.g;
  Sweep s{a.x + n * g.h * g.w * g.c,
          g.h,
          g.w,
          g.c,
          -g.pad_top,
          -g.pad_left,
          g.stride_h,
          g.stride_w,
          g.dilation_h,
          g.dilation_w,
          g.kh,
          g.kw,
          a.packed,
          a.packed + g.c,
          g.kw * g.c,
          g.c,
          g.ow * g.c,
          g.c};
  if (g.x_nchw) {  // a copy of what the rows see, which begins at their first tap
    const Window win{first_row * g.stride_h - g.pad_top, -g.pad_left,
                     conv2d_extent(last_row - first_row, g.stride_h, g.dilation_h, g.kh),
                     conv2d_extent(g.ow, g.stride_w, g.dilation_w, g.kw)};
    copy_window(s.source, g.h, g.w, g.c, true, win, scratch);
    s.source = scratch, s.rows = win.rows, s.cols = win.cols;
    s.at_h -= win.y, s.at_w -= win.x;
  }
  sweep(s, first_row, last_row, g.ow, a.y + n * g.oh * s.out_row);
}

// Rows first .. last of every phase. Range run backwards through the filters.
void depthwise_backward_input(const Conv2dBackwardInput& a, int64_t n, int64_t first, int64_t last) {
  const Conv2d& g = a.g;
  for (int64_t y = 0; y < min64(g.stride_h, g.h); ++y) {
    const Phase py = phase_of(y, g.pad_top, g.stride_h, g.dilation_h, g.kh);
    for (int64_t x = 0; x < min64(g.stride_w, g.w); ++x) {
      const Phase px = phase_of(x, g.pad_left, g.stride_w, g.dilation_w, g.kw);
      const bool none = py.taps == 0 || px.taps == 0;
      const Sweep s{a.dy + n * g.oh * g.ow * g.c,
                    g.oh,
                    g.ow,
                    g.c,
                    none ? 0 : py.first_row,
                    none ? 0 : px.first_row,
                    1,
                    1,
                    py.row_step,
                    px.row_step,
                    none ? 0 : py.taps,
                    none ? 0 : px.taps,
                    nullptr,
                    a.packed + (none ? 0 : (py.first_tap * g.kw + px.first_tap) * g.c),
                    -py.tap_step * g.kw * g.c,
                    -px.tap_step * g.c,
                    g.stride_h * g.w * g.c,
                    g.stride_w * g.c};
      const int64_t rows = ceil_div(max64(0, g.h - y), g.stride_h), cols = ceil_div(max64(0, g.w - x), g.stride_w);
      sweep(s, first, min64(last, rows), cols, a.dx + ((n * g.h + y) * g.w + x) * g.c);
    }
  }
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

// conv2d with one filter per channel (groups == c == k), or few channels to a group and as many out as in: the lanes
// are channels, there is nothing to multiply as matrices. Forward and backward_input are Sweeps: an output pixel is the
// sum over the taps of source pixels times filters. Channel e of every group is spread over its group's lanes first,
// for each e in turn. Range outside the image are skipped, so nothing is padded or copied unless x is n, c, h, w in
// memory.
//   packed, in vectors of whole groups: [vector] bias, then [vector][e][ky][kx]
// The gradient of the filters is in conv2d_depthwise_weight.cpp.
#include "conv2d.h"
#include "conv2d_direct.h"
#include "conv2d_phase.h"
#include "window.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// out[i][j][:] = bias + sum over e and taps (ty, tx) of
//                source[at_h + i * move_h + ty * tap_h][at_w + j * move_w + tx * tap_w][e of the group] *
//                filter[e][ty][tx]
struct Sweep {
  const float* source;
  int64_t rows, cols, channels, depth;  // depth: channels of a group
  int64_t at_h, at_w, move_h, move_w, tap_h, tap_w, taps_h, taps_w;
  const float *bias, *filter;
  int64_t filter_row, filter_col;        // floats from one tap to the next
  int64_t filter_e, out_row, out_pixel;  // and from one channel of a group, output row, output pixel to the next
};

int64_t span_of(int64_t depth) { return kLanes / depth * depth; }

// What a tile has of a vector of n channels, at c0.
struct Vector {
  const float *bias, *filter;
  int64_t n;
  vi heads;  // of every lane's group, its first lane
};

template <bool whole>
[[gnu::always_inline]] inline vf read(const Vector& v, const float* p) {
  return whole ? load(p) : load_n(p, v.n);
}

template <int W, bool whole>
[[gnu::always_inline]] inline void write(const Sweep& s, const Vector& v, const vf (&acc)[W], float* out) {
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) {
    if (whole)
      store(out + i * s.out_pixel, acc[i]);
    else
      store_n(out + i * s.out_pixel, acc[i], v.n);
  }
}

// W neighbouring pixels of a vector of channels; more than one pixel have all the taps of a row.
template <int W, bool grouped, bool whole>
[[gnu::always_inline]] inline void channel_tile(const Sweep& s, const Vector& v, const float* source, Range ty,
                                                Range tx, float* out) {
  const int64_t row = s.tap_h * s.cols * s.channels, col = s.tap_w * s.channels, move = s.move_w * s.channels;
  vf acc[W];
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) acc[i] = v.bias ? load(v.bias) : vf{};
  for (int64_t e = 0; e < (grouped ? s.depth : 1); ++e) {
    const vi lanes = v.heads + splat_int((int32_t)e);
    for (int64_t y = ty.first; y < ty.last; ++y) {
      const float *p = source + y * row, *w = v.filter + e * s.filter_e + y * s.filter_row;
      for (int64_t x = tx.first; x < tx.last; ++x) {
        const vf wx = load(w + x * s.filter_col);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
          const vf seen = read<whole>(v, p + x * col + i * move);
          acc[i] = fma(grouped ? permute(seen, lanes) : seen, wx, acc[i]);
        }
      }
    }
  }
  write<W, whole>(s, v, acc, out);
}

// The same for three neighbouring taps of which tx is all, or all but those that see the pixel left or right of the
// image: each source pixel is read once for the outputs that see it.
template <int W, bool grouped, bool whole>
[[gnu::always_inline]] inline void near_tile(const Sweep& s, const Vector& v, const float* source, Range ty, Range seen,
                                             float* out) {
  const int64_t row = s.tap_h * s.cols * s.channels;
  vf acc[W];
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) acc[i] = v.bias ? load(v.bias) : vf{};
  for (int64_t e = 0; e < (grouped ? s.depth : 1); ++e) {
    const vi lanes = v.heads + splat_int((int32_t)e);
    for (int64_t y = ty.first; y < ty.last; ++y) {
      const float *p = source + y * row, *w = v.filter + e * s.filter_e + y * s.filter_row;
      const vf w0 = load(w), w1 = load(w + s.filter_col), w2 = load(w + 2 * s.filter_col);
#pragma GCC unroll 16
      for (int i = 0; i < W + 2; ++i) {
        if ((i == 0 && seen.first > 0) || (i == W + 1 && seen.last < W + 2)) continue;
        vf x = read<whole>(v, p + i * s.channels);
        if (grouped) x = permute(x, lanes);
        keep(x);
        if (i < W) acc[i] = fma(x, w0, acc[i]);
        if (i > 0 && i <= W) acc[i - 1] = fma(x, w1, acc[i - 1]);
        if (i > 1) acc[i - 2] = fma(x, w2, acc[i - 2]);
      }
    }
  }
  write<W, whole>(s, v, acc, out);
}

// W neighbouring pixels, channels c .. end; source: where tap (0, 0) of the first would be. tx: the taps that they all
// have, or, for three neighbouring taps, the source pixels that are inside the image.
template <int W, bool near, bool grouped>
[[gnu::noinline]] void pixels(const Sweep& s, int64_t c, int64_t end, vi heads, const float* source, Range ty, Range tx,
                              float* out) {
  const int64_t span = grouped ? span_of(s.depth) : kLanes;
  for (; c < end; c += span) {
    const int64_t at = c / span;
    const Vector v{s.bias ? s.bias + at * kLanes : nullptr, s.filter + at * s.depth * s.filter_e, min64(span, end - c),
                   heads};
    const auto tile = [&](auto whole) __attribute__((always_inline)) {
      if (near)
        near_tile<W, grouped, decltype(whole)::value>(s, v, source + c, ty, tx, out + c);
      else
        channel_tile<W, grouped, decltype(whole)::value>(s, v, source + c, ty, tx, out + c);
    };
    if (v.n == kLanes)
      tile(Rows<1>{});
    else
      tile(Rows<0>{});
  }
}

// W columns of output from j on, rows first .. last: three rows of such a strip of the source stay in L1. The filters
// of groups are as many floats again, so their vectors take turns.
template <int W, bool near, bool grouped>
void strip(const Sweep& s, int64_t j, Range tx, int64_t first, int64_t last, float* out) {
  vi heads = {};
  for (int64_t lane = 0; grouped && lane < kLanes; ++lane) heads[lane] = (int32_t)(lane / s.depth * s.depth);
  const int64_t together = grouped ? span_of(s.depth) : s.channels;
  for (int64_t c = 0; c < s.channels; c += together) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t y = s.at_h + i * s.move_h;
      pixels<W, near, grouped>(
          s, c, min64(s.channels, c + together), heads, s.source + (y * s.cols + s.at_w + j * s.move_w) * s.channels,
          taps_inside(y, y, s.tap_h, s.taps_h, 0, s.rows), tx, out + i * s.out_row + j * s.out_pixel);
    }
  }
}

constexpr int64_t kNear = kMaxRows < 8 ? kMaxRows : 8;  // pixels of a tile with a filter per channel

// Rows first .. last of the output, `cols` pixels each: those at the borders alone, with the taps they have. Three
// neighbouring taps leave to the borders only what is more than one pixel out.
template <bool grouped>
void sweep(const Sweep& s, int64_t first, int64_t last, int64_t cols, float* out) {
  constexpr int64_t tallest = grouped ? kMaxRows : kNear;
  const bool near = s.taps_w == 3 && s.tap_w == 1 && s.move_w == 1;
  const int64_t over = near ? 1 : 0;
  const int64_t left = min64(cols, s.at_w + over >= 0 ? 0 : ceil_div(-over - s.at_w, s.move_w));
  const int64_t room = s.cols - 1 + over - (s.taps_w - 1) * s.tap_w - s.at_w;
  const int64_t right = max64(left, min64(cols, room >= 0 ? room / s.move_w + 1 : 0));
  const auto border = [&](int64_t j) {
    const int64_t x = s.at_w + j * s.move_w;
    strip<1, false, grouped>(s, j, taps_inside(x, x, s.tap_w, s.taps_w, 0, s.cols), first, last, out);
  };
  const Range all{0, s.taps_w};
  int64_t j = 0;
  for (; j < left; ++j) border(j);
  const int64_t inside = right - left, tiles = ceil_div(inside, tallest);
  for (int64_t t = 0; near && t < tiles; ++t) {
    j = left + tile_row(inside, tiles, t);
    const int64_t width = left + tile_row(inside, tiles, t + 1) - j, x = s.at_w + j;
    with_rows(width, [&](auto n) {
      constexpr int W = decltype(n)::value;
      if constexpr (W <= tallest)
        strip<W, true, grouped>(s, j, {max64(0, -x), min64(W + 2, s.cols - x)}, first, last, out);
    });
    j += width;
  }
  for (; j + 8 <= right; j += 8) strip<8, false, grouped>(s, j, all, first, last, out);
  for (; j + 3 <= right; j += 3) strip<3, false, grouped>(s, j, all, first, last, out);
  for (; j < right; ++j) strip<1, false, grouped>(s, j, all, first, last, out);
  for (; j < cols; ++j) border(j);
}

void sweep_rows(const Sweep& s, int64_t first, int64_t last, int64_t cols, float* out) {
  (s.depth == 1 ? sweep<false> : sweep<true>)(s, first, last, cols, out);
}

}  // namespace

int64_t depthwise_workspace(const Conv2d& g, bool with_bias) {
  return conv2d_spans(g) * kLanes * (g.kh * g.kw * (g.c / g.groups) + (with_bias ? 1 : 0));
}

void depthwise_pack_forward(const Conv2dForward& a) {
  const int64_t span = conv2d_span(a.g), spans = conv2d_spans(a.g), row = a.g.kh * a.g.kw * (a.g.c / a.g.groups);
  float* out = a.packed + spans * kLanes;
  for (int64_t v = 0; v < spans; ++v, out += row * kLanes) {
    const int64_t c0 = v * span, n = min64(span, a.g.c - c0);
    for (int64_t j = 0; j < kLanes; ++j) a.packed[v * kLanes + j] = a.bias && j < n ? a.bias[c0 + j] : 0.0f;
    if (n < kLanes) __builtin_memset(out, 0, row * kLanes * sizeof(float));
    transpose_rows(a.weight + c0 * row, row, n, row, out, kLanes);
  }
}

// Channel e of a group of dy meets what its filter has for each channel of x.
void depthwise_pack_backward(const Conv2dBackwardInput& a) {
  const int64_t span = conv2d_span(a.g), spans = conv2d_spans(a.g), depth = a.g.c / a.g.groups;
  const int64_t taps = a.g.kh * a.g.kw;
  float* out = a.packed;
  for (int64_t v = 0; v < spans; ++v, out += depth * taps * kLanes) {
    const int64_t c0 = v * span, n = min64(span, a.g.c - c0);
    if (n < kLanes) __builtin_memset(out, 0, depth * taps * kLanes * sizeof(float));
    if (depth == 1) {
      transpose_rows(a.weight + c0 * taps, taps, n, taps, out, kLanes);
      continue;
    }
    for (int64_t j = 0; j < n; ++j) {
      const float* from = a.weight + ((c0 + j - j % depth) * depth + j % depth) * taps;
      for (int64_t e = 0; e < depth; ++e)
        for (int64_t t = 0; t < taps; ++t) out[(e * taps + t) * kLanes + j] = from[e * depth * taps + t];
    }
  }
}

void depthwise_forward(const Conv2dForward& a, int64_t n, int64_t first_row, int64_t last_row, float* scratch) {
  const Conv2d& g = a.g;
  Sweep s{a.x + n * g.h * g.w * g.c,
          g.h,
          g.w,
          g.c,
          g.c / g.groups,
          -g.pad_top,
          -g.pad_left,
          g.stride_h,
          g.stride_w,
          g.dilation_h,
          g.dilation_w,
          g.kh,
          g.kw,
          a.packed,
          a.packed + conv2d_spans(g) * kLanes,
          g.kw * kLanes,
          kLanes,
          g.kh * g.kw * kLanes,
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
  sweep_rows(s, first_row, last_row, g.ow, a.y + n * g.oh * s.out_row);
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
                    g.c / g.groups,
                    none ? 0 : py.first_row,
                    none ? 0 : px.first_row,
                    1,
                    1,
                    py.row_step,
                    px.row_step,
                    none ? 0 : py.taps,
                    none ? 0 : px.taps,
                    nullptr,
                    a.packed + (none ? 0 : (py.first_tap * g.kw + px.first_tap) * kLanes),
                    -py.tap_step * g.kw * kLanes,
                    -px.tap_step * kLanes,
                    g.kh * g.kw * kLanes,
                    g.stride_h * g.w * g.c,
                    g.stride_w * g.c};
      const int64_t rows = ceil_div(max64(0, g.h - y), g.stride_h), cols = ceil_div(max64(0, g.w - x), g.stride_w);
      sweep_rows(s, first, min64(last, rows), cols, a.dx + ((n * g.h + y) * g.w + x) * g.c);
    }
  }
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

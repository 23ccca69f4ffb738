// The sweep of a depthwise or grouped convolution over its outputs: lanes are channels, tiles are neighbouring outputs,
// and taps outside the image are skipped. depthwise.cpp says what is swept.
#pragma once
#include "geometry.h"
#include "pass.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// out[i][j][:] = bias + sum over e and taps (ty, tx) of
//                source[at_h + i * move_h + ty * tap_h][at_w + j * move_w + tx * tap_w][e of the group] *
//                filter[e][ty][tx]
struct Sweep {
  const float* source;
  int64_t source_row, source_col;  // floats from one source row (column) to the next
  int64_t rows, cols, channels;    // of the source, and channels of the output
  int64_t depth, outputs;          // channels of a group, of the source and of the output
  int64_t at_h, at_w, move_h, move_w, tap_h, tap_w, taps_h, taps_w;
  const float *bias, *filter;
  int64_t filter_row, filter_col;        // floats from one tap to the next
  int64_t filter_e, out_row, out_pixel;  // and from one channel of a group, output row, output pixel to the next
};

// Output channels in a vector: whole groups, of which the source's fit one as well.
inline int64_t span_of(const Sweep& s) { return kLanes / max64(s.depth, s.outputs) * s.outputs; }

// What a tile has of a vector of output channels, n of them, and seen channels of the source.
struct Vector {
  const float *bias, *filter;
  int64_t n, seen;
};

template <bool whole>
[[gnu::always_inline]] inline vf read(const Vector& v, const float* p) {
  return whole ? load(p) : load_n(p, v.seen);
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

// The taps of a row that each of W neighbouring outputs has, and those that all of them have.
template <int W>
struct Columns {
  Range own[W], common;
  bool even;  // all of them have all

  Columns(const Sweep& s, int64_t j) {
    common = {0, s.taps_w};
    const int64_t low = s.at_w + j * s.move_w, high = low + (W - 1) * s.move_w + (s.taps_w - 1) * s.tap_w;
    even = low >= 0 && high < s.cols;
    if (even) return;
    for (int i = 0; i < W; ++i) {
      const int64_t x = s.at_w + (j + i) * s.move_w;
      own[i] = taps_inside(x, x, s.tap_w, s.taps_w, 0, s.cols);
      common = {max64(common.first, own[i].first), min64(common.last, own[i].last)};
    }
    common.last = max64(common.first, common.last);
  }
};

constexpr int64_t kNearTaps = kRegisters == 32 ? 4 : 2;  // that share the source pixels they read

// W neighbouring pixels of a vector of channels.
template <int W, bool grouped, bool whole>
[[gnu::always_inline]] inline void channel_tile(const Sweep& s, const Vector& v, vi heads, const float* source,
                                                Range ty, const Columns<W>& tx, float* out) {
  const int64_t row = s.tap_h * s.source_row, col = s.tap_w * s.source_col, move = s.move_w * s.source_col;
  const bool near = col == move;
  vf acc[W];
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) acc[i] = v.bias ? load(v.bias) : vf{};
  for (int64_t e = 0; e < (grouped ? s.depth : 1); ++e) {
    const vi lanes = heads + splat_int((int32_t)e);
    const auto seen = [n = v.seen, lanes](const float* p) __attribute__((always_inline)) {
      const vf pixel = whole ? load(p) : load_n(p, n);
      return grouped ? permute(pixel, lanes) : pixel;
    };
    for (int64_t y = ty.first; y < ty.last; ++y) {
      const float *p = source + y * row, *w = v.filter + e * s.filter_e + y * s.filter_row;
      const auto edge = [&](int i, int64_t first, int64_t last) __attribute__((always_inline)) {
        for (int64_t x = first; x < last; ++x)
          acc[i] = fma(seen(p + x * col + i * move), load(w + x * s.filter_col), acc[i]);
      };
      if (!tx.even) {
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) edge(i, tx.own[i].first, min64(tx.own[i].last, tx.common.first));
      }
      int64_t x = tx.common.first;
      if (W > 1 && near) {
        RowPointers<W + kNearTaps - 1> pixels(p + x * col, col);
        RowPointers<kNearTaps> taps(w + x * s.filter_col, s.filter_col);
        for (; x + kNearTaps <= tx.common.last; x += kNearTaps) {
          vf wx[kNearTaps];
#pragma GCC unroll 4
          for (int t = 0; t < kNearTaps; ++t) wx[t] = load(taps.at[t / 3] + t % 3 * s.filter_col);
#pragma GCC unroll 16
          for (int i = 0; i < W + kNearTaps - 1; ++i) {
            vf pixel = seen(pixels.at[i / 3] + i % 3 * col);
            keep(pixel);
#pragma GCC unroll 4
            for (int t = 0; t < kNearTaps; ++t)
              if (i - t >= 0 && i - t < W) acc[i - t] = fma(pixel, wx[t], acc[i - t]);
          }
          pixels.advance(kNearTaps * col);
          taps.advance(kNearTaps * s.filter_col);
        }
      }
      for (; x < tx.common.last; ++x) {
        const vf wx = load(w + x * s.filter_col);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) acc[i] = fma(seen(p + x * col + i * move), wx, acc[i]);
      }
      if (!tx.even) {
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) edge(i, max64(tx.own[i].first, tx.common.last), tx.own[i].last);
      }
    }
  }
  write<W, whole>(s, v, acc, out);
}

// The same for three neighbouring taps of which tx is all, or all but those that see the pixel left or right of the
// image: each source pixel is read once for the outputs that see it.
template <int W, bool grouped, bool whole>
[[gnu::always_inline]] inline void near_tile(const Sweep& s, const Vector& v, vi heads, const float* source, Range ty,
                                             Range seen, float* out) {
  const int64_t row = s.tap_h * s.source_row;
  vf acc[W];
#pragma GCC unroll 16
  for (int i = 0; i < W; ++i) acc[i] = v.bias ? load(v.bias) : vf{};
  for (int64_t e = 0; e < (grouped ? s.depth : 1); ++e) {
    const vi lanes = heads + splat_int((int32_t)e);
    for (int64_t y = ty.first; y < ty.last; ++y) {
      const float *p = source + y * row, *w = v.filter + e * s.filter_e + y * s.filter_row;
      const vf w0 = load(w), w1 = load(w + s.filter_col), w2 = load(w + 2 * s.filter_col);
#pragma GCC unroll 16
      for (int i = 0; i < W + 2; ++i) {
        if ((i == 0 && seen.first > 0) || (i == W + 1 && seen.last < W + 2)) continue;
        vf x = read<whole>(v, p + i * s.source_col);
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

// W neighbouring pixels, channels c .. end; source: where tap (0, 0) of the first would be. tx: for three neighbouring
// taps, the source pixels that are inside the image.
template <int W, bool near, bool grouped>
[[gnu::noinline]] void pixels(const Sweep& s, int64_t c, int64_t end, vi heads, const float* source, Range ty,
                              const Columns<W>& columns, Range tx, float* out) {
  const int64_t span = grouped ? span_of(s) : kLanes;
  for (; c < end; c += span) {
    const int64_t at = c / span, n = min64(span, end - c), depth = grouped ? s.depth : 1;
    const Vector v{s.bias ? s.bias + at * kLanes : nullptr, s.filter + at * depth * s.filter_e, n,
                   grouped ? n / s.outputs * depth : n};
    const float* from = source + (grouped ? c / s.outputs * depth : c);
    const auto tile = [&](auto whole) __attribute__((always_inline)) {
      if constexpr (near)
        near_tile<W, grouped, decltype(whole)::value>(s, v, heads, from, ty, tx, out + c);
      else
        channel_tile<W, grouped, decltype(whole)::value>(s, v, heads, from, ty, columns, out + c);
    };
    if (v.n == kLanes && v.seen == kLanes)
      tile(Rows<1>{});
    else
      tile(Rows<0>{});
  }
}

constexpr int64_t kStripFloats = 1 << 12;  // 16 KB, half of L1

// W columns of output from j on, rows first .. last: what they see of the source stays in L1, for all channels where
// the filters are small. The filters of groups are as many floats again, so their vectors take turns.
template <int W, bool near, bool grouped>
void strip(const Sweep& s, int64_t j, int64_t first, int64_t last, float* out) {
  vi heads = {};
  for (int64_t lane = 0; grouped && lane < kLanes; ++lane) heads[lane] = (int32_t)(lane / s.outputs * s.depth);
  const int64_t window = s.taps_h * (s.taps_w + W),
                fits = max64(1, kStripFloats / max64(1, window) / kLanes) * kLanes;  // a phase may have no taps
  const int64_t together = grouped ? span_of(s) : s.taps_h * s.taps_w <= 9 ? s.channels : fits;
  const int64_t x = s.at_w + j * s.move_w;
  const Columns<W> columns(s, j);
  for (int64_t c = 0; c < s.channels; c += together) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t y = s.at_h + i * s.move_h;
      pixels<W, near, grouped>(s, c, min64(s.channels, c + together), heads,
                               s.source + y * s.source_row + x * s.source_col,
                               taps_inside(y, y, s.tap_h, s.taps_h, 0, s.rows), columns,
                               {max64(0, -x), min64(W + 2, s.cols - x)}, out + i * s.out_row + j * s.out_pixel);
    }
  }
}

constexpr int64_t kNear = kMaxRows < 8 ? kMaxRows : 8;  // pixels of a tile with a filter per channel

// Rows first .. last of the output, `cols` pixels each. Three neighbouring taps leave to the borders, which go alone,
// what is more than one pixel out.
template <bool grouped>
void sweep(const Sweep& s, int64_t first, int64_t last, int64_t cols, float* out) {
  constexpr int64_t tallest = grouped ? kMaxRows : kNear;
  int64_t j = 0;
  if (s.taps_w == 3 && s.tap_w == 1 && s.move_w == 1) {
    const int64_t left = min64(cols, max64(0, -1 - s.at_w)), right = max64(left, min64(cols, s.cols - 1 - s.at_w));
    for (; j < left; ++j) strip<1, false, grouped>(s, j, first, last, out);
    const int64_t inside = right - left, tiles = ceil_div(inside, tallest);
    for (int64_t t = 0; t < tiles; ++t) {
      j = left + tile_row(inside, tiles, t);
      const int64_t width = left + tile_row(inside, tiles, t + 1) - j;
      with_rows(width, [&](auto n) {
        constexpr int W = decltype(n)::value;
        if constexpr (W <= tallest) strip<W, true, grouped>(s, j, first, last, out);
      });
    }
    for (j = right; j < cols; ++j) strip<1, false, grouped>(s, j, first, last, out);
    return;
  }
  for (; j + 8 <= cols; j += 8) strip<8, false, grouped>(s, j, first, last, out);
  for (; j + 3 <= cols; j += 3) strip<3, false, grouped>(s, j, first, last, out);
  for (; j < cols; ++j) strip<1, false, grouped>(s, j, first, last, out);
}

constexpr int64_t kNarrow = 8;  // columns that do not fill a tile

// The same sweep with rows for columns, from row `first` on.
inline Sweep turned(const Sweep& s, int64_t first) {
  Sweep t = s;
  t.source_row = s.source_col, t.source_col = s.source_row;
  t.rows = s.cols, t.cols = s.rows;
  t.at_h = s.at_w, t.at_w = s.at_h + first * s.move_h;
  t.move_h = s.move_w, t.move_w = s.move_h;
  t.tap_h = s.tap_w, t.tap_w = s.tap_h;
  t.taps_h = s.taps_w, t.taps_w = s.taps_h;
  t.filter_row = s.filter_col, t.filter_col = s.filter_row;
  t.out_row = s.out_pixel, t.out_pixel = s.out_row;
  return t;
}

// Tiles lie along rows, or along columns where these are longer than rows that are short, or than the only taps. (Sums
// then grow tap by tap in another order: the choice must not depend on first and last.)
inline void sweep_rows(const Sweep& s, int64_t first, int64_t last, int64_t rows, int64_t cols, float* out) {
  const auto run = s.depth == 1 && s.outputs == 1 ? sweep<false> : sweep<true>;
  const bool square = s.taps_w == 3 && s.taps_h == 3;
  if (rows > cols && !square && (cols < kNarrow || (s.taps_w == 1 && s.taps_h > 1)))
    return run(turned(s, first), 0, cols, last - first, out + first * s.out_row);
  // A strip comes down the rows for what they share. Where that is nothing, each row goes from end to end.
  const int64_t step = s.taps_h == 1 || s.rows == 1 ? 1 : max64(1, last - first);
  for (; first < last; first += step) run(s, first, first + step, cols, out);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// conv2d_backward_weight with one filter per channel, or few channels to a group and as many out as in: dw (k, depth,
// kh, kw) = sum over images and pixels of x at the tap times dy. The lanes are channels of x; channel e of every group
// of dy is spread over its group's lanes, for each e in turn. The sums of taps stay in registers along a row of pixels.
//   sums: [e][ky][kx][channels]
//   partial of dw: [group][ky][kx][c][k], as the shared reduction of backward_weight.cpp reads it
#include "algorithms.h"
#include "backward_weight.h"
#include "core/window.h"
#include "depthwise_tap_rows.h"
#include "geometry.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kBandPixels = 64;  // of output, between reads and writes of the sums

// Whether the filter has 3x3 neighbouring taps and no output sees more than one pixel beside the image: then the sums
// of all taps stay in registers through a band of rows, and a source pixel is read once for the three taps of a row.
// (As many channels out as in: one mask serves both.)
bool is_near(const Conv2d& g) {
  return g.k == g.c && g.kh == 3 && g.kw == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 &&
         g.dilation_w == 1 && g.pad_left <= 1 && g.ow + 1 - g.pad_left <= g.w;
}

// Channels of a group whose sums are taken together; lanes: of dy, for each.
template <int E>
struct Spread {
  vi lanes[E];
};

// sums[E][T][3] += over W neighbouring outputs, for T rows of taps; left, right: the pixel there is outside the image.
template <int W, bool left, bool right, bool whole, bool grouped, int E, int T>
[[gnu::always_inline]] inline void near_taps(vf (&sums)[E][T][3], const Spread<E>& spread, const float* x, int64_t row,
                                             int64_t pixel, const float* dy, int64_t dy_pixel, int64_t n) {
  const auto read = [n](const float* p) { return whole ? load(p) : load_n(p, n); };
  asm("" : "+r"(x));  // the compiler would carry pixels over to the next outputs in more registers than there are
  vf d[E][W];
#pragma GCC unroll 4
  for (int o = 0; o < W; ++o) {
#pragma GCC unroll 2
    for (int e = 0; e < E; ++e) {
      d[e][o] = read(dy + o * dy_pixel);
      if (grouped) d[e][o] = permute(d[e][o], spread.lanes[e]);
      keep(d[e][o]);
    }
  }
#pragma GCC unroll 3
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 8
    for (int i = left; i < W + 2 - right; ++i) {
      vf v = read(x + t * row + i * pixel);
      keep(v);
#pragma GCC unroll 3
      for (int k = 0; k < 3; ++k)
#pragma GCC unroll 2
        for (int e = 0; e < E; ++e)
          if (i - k >= 0 && i - k < W) sums[e][t][k] = fma(v, d[e][i - k], sums[e][t][k]);
    }
  }
}

// Output rows that see the same T rows of taps; image: of their first row, where tap (first, 0) of output 0 would be.
template <int T, int E, bool grouped, bool whole>
[[gnu::noinline]] void near_rows(const Conv2d& g, const Spread<E>& spread, const float* image, int64_t pixel,
                                 const float* dy, int64_t rows, int64_t n, float* sums, int64_t sums_row) {
  const auto read = [n](const float* p) { return whole ? load(p) : load_n(p, n); };
  const Spread<E> to = spread;
  vf acc[E][T][3];
#pragma GCC unroll 32
  for (int t = 0; t < 3 * T * E; ++t)
    acc[t / (3 * T)][t / 3 % T][t % 3] = read(sums + (t / (3 * T) * 9 + t % (3 * T)) * sums_row);
  const int64_t row = g.w * pixel;
  const bool left = g.pad_left == 1, right = g.ow + 1 - g.pad_left == g.w, narrow = left && right && g.ow == 1;
  for (int64_t r = 0; r < rows; ++r, image += row, dy += g.ow * g.c) {
    const float *x = image, *d = dy, *last = dy + (g.ow - right) * g.c;
    for (int64_t p = 0; p < g.ow; ++p) {
      __builtin_prefetch(image + rows * row + p * pixel, 0, 2);
      __builtin_prefetch(dy + (rows * g.ow + p) * g.c, 0, 2);
    }
    if (narrow) {
      near_taps<1, true, true, whole, grouped>(acc, to, x, row, pixel, d, g.c, n);
      continue;
    }
    if (left) {
      near_taps<1, true, false, whole, grouped>(acc, to, x, row, pixel, d, g.c, n);
      x += pixel, d += g.c;
    }
    for (; whole && d + g.c < last; x += 2 * pixel, d += 2 * g.c)
      near_taps<2, false, false, whole, grouped>(acc, to, x, row, pixel, d, g.c, n);
    for (; d < last; x += pixel, d += g.c)
      near_taps<1, false, false, whole, grouped>(acc, to, x, row, pixel, d, g.c, n);
    if (right) near_taps<1, false, true, whole, grouped>(acc, to, x, row, pixel, d, g.c, n);
  }
#pragma GCC unroll 32
  for (int t = 0; t < 3 * T * E; ++t) {
    float* to_sums = sums + (t / (3 * T) * 9 + t % (3 * T)) * sums_row;
    if (whole)
      store(to_sums, acc[t / (3 * T)][t / 3 % T][t % 3]);
    else
      store_n(to_sums, acc[t / (3 * T)][t / 3 % T][t % 3], n);
  }
}

// As many of the channels of a group together as registers hold sums of; heads: of every lane's group, its first lane.
template <int T>
void near_rows(const Conv2d& g, vi heads, const float* image, int64_t pixel, const float* dy, int64_t rows, int64_t n,
               float* sums, int64_t sums_row) {
  constexpr int E = kRegisters == 32 ? 2 : 1;
  const int64_t depth = g.c / g.groups;
  const auto run = [&](auto count, auto grouped, int64_t e) {
    constexpr int some = decltype(count)::value;
    constexpr bool spreads = decltype(grouped)::value;
    Spread<some> spread;
    for (int i = 0; i < some; ++i) spread.lanes[i] = heads + splat_int((int32_t)(e + i));
    float* to = sums + e * 9 * sums_row;
    if (n == kLanes)
      near_rows<T, some, spreads, true>(g, spread, image, pixel, dy, rows, n, to, sums_row);
    else
      near_rows<T, some, spreads, false>(g, spread, image, pixel, dy, rows, n, to, sums_row);
  };
  if (depth == 1) return run(Rows<1>{}, Rows<0>{}, 0);
  int64_t e = 0;
  for (; e + E <= depth; e += E) run(Rows<E>{}, Rows<1>{}, e);
  for (; e < depth; ++e) run(Rows<1>{}, Rows<1>{}, e);
}

// One image: x and dy of its first pixel, `pixel` floats from one pixel of x to the next.
void near_image(const Conv2d& g, vi heads, const float* x, int64_t pixel, const float* dy, int64_t channels,
                float* sums) {
  const int64_t span = lane_span(g);
  int64_t rows;
  for (int64_t oy = 0; oy < g.oh; oy += rows) {
    const int64_t y = oy - g.pad_top;
    const Range taps = taps_inside(y, y, 1, 3, 0, g.h);
    const bool inside = taps.last - taps.first == 3;
    rows = inside ? min64(max64(1, kBandPixels / max64(1, g.ow)), g.h - 2 - y) : 1;
    rows = min64(rows, g.oh - oy);
    for (int64_t c = 0; c < channels; c += span) {
      const float* image = x + ((y + taps.first) * g.w - g.pad_left) * pixel + c;
      const float* from = dy + oy * g.ow * g.c + c;
      float* to = sums + taps.first * 3 * channels + c;
      const int64_t n = min64(span, channels - c);
      if (inside)
        near_rows<3>(g, heads, image, pixel, from, rows, n, to, channels);
      else if (taps.last - taps.first == 2)
        near_rows<2>(g, heads, image, pixel, from, rows, n, to, channels);
      else if (taps.last > taps.first)
        near_rows<1>(g, heads, image, pixel, from, rows, n, to, channels);
    }
  }
}

void scatter_sums(const Conv2d& g, const float* sums, int64_t c0, int64_t channels, float* partial) {
  const int64_t taps = g.kh * g.kw, depth = g.c / g.groups, outputs = g.k / g.groups;
  if (outputs == 1) return transpose_rows(sums, channels, taps, channels, partial + c0 * taps, taps);
  for (int64_t e = 0; e < outputs; ++e)
    for (int64_t tap = 0; tap < taps; ++tap, sums += channels)
      for (int64_t c = 0; c < channels; ++c)
        partial[(((c0 + c) / depth * taps + tap) * depth + c % depth) * outputs + e] = sums[c];
}

// Units of dw: the channels of a vector.
Chunks chunks(const Conv2d& g) { return chunks_of(g, lane_spans(g), kMaxChunks); }

// Channels c0 .. c0 + channels of x, whole groups.
void sum_channels(const Conv2dBackwardWeight& a, const Chunk& chunk, int64_t c0, int64_t channels, float* scratch) {
  const Conv2d& g = a.g;
  const int64_t depth = g.c / g.groups, outputs = g.k / g.groups, floats = g.kh * g.kw * outputs * channels;
  float *sums = scratch, *copy = scratch + floats;
  __builtin_memset(sums, 0, floats * sizeof(float));
  vi heads = {};
  for (int64_t lane = 0; lane < kLanes; ++lane) heads[lane] = (int32_t)(lane / depth * outputs);
  for (int64_t n = chunk.first; n < chunk.last; ++n) {
    const float* x = a.x + n * g.h * g.w * g.c + (g.x_nchw ? c0 * g.h * g.w : c0);
    const float* dy = a.dy + n * g.oh * g.ow * g.k + c0 / depth * outputs;
    if (g.x_nchw) {
      copy_window(x, g.h, g.w, channels, true, {0, 0, g.h, g.w}, copy);
      x = copy;
    }
    (is_near(g) ? near_image : any_image)(g, heads, x, g.x_nchw ? channels : g.c, dy, channels, sums);
  }
  scatter_sums(g, sums, c0, channels, chunk.partial);
}

int64_t sum_tasks(const Conv2dBackwardWeight& a) { return chunks(a.g).tasks(); }

int64_t sum_scratch(const Conv2dBackwardWeight& a) { return dw_floats(a.g) + (a.g.x_nchw ? a.g.c * a.g.h * a.g.w : 0); }

void sum(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t span = lane_span(a.g);
  each_chunk(a, chunks(a.g), begin, end, [&](const Chunk& chunk, int64_t first, int64_t last) {
    sum_channels(a, chunk, first * span, min64(a.g.c, last * span) - first * span, scratch);
  });
}

int64_t add_tasks(const Conv2dBackwardWeight& a) { return add_chunks_tasks(a.g, chunks(a.g).count); }
void add(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float*) {
  add_chunks(a, chunks(a.g).count, begin, end);
}

int64_t workspace(const Conv2dBackwardWeight& a) { return chunks(a.g).count * dw_floats(a.g); }

}  // namespace

const Kernel<Conv2dBackwardWeight> depthwise_backward_weight = {
    {{sum_tasks, sum_scratch, sum}, {add_tasks, nullptr, add}}, workspace, &Conv2dBackwardWeight::partials};

}  // namespace FASTNN_ISA
}  // namespace fastnn

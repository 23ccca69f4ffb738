// The one-dimensional transforms of Winograd's minimal filtering, y = outputs(filter(g) * input(d)):
//   F(4, 3): 4 outputs of a 3-tap filter from 6 values, points 0, +-a, +-b, infinity
//   F(3, 4): 3 outputs of a 4-tap filter from 6 values, the same points
//   F(2, 3): 2 outputs of a 3-tap filter from 4 values, points 0, +-1, infinity
// Two dimensions apply each along rows, then along columns. a = 5/8, b = 3/2: every constant of the input and output
// transforms is exact in binary, and the error is half that of the usual points 0, +-1, +-2
// (Lavin and Gray 2015, arXiv:1509.09308; the choice of points: docs/design/0006-winograd.md).
#pragma once
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kTilePixels = 6;   // side of the larger tile, seen from the input
constexpr int64_t kTileOutputs = 4;  // and from the output
constexpr int64_t kPoints = 36;      // products per channel of such a tile
constexpr int64_t kPlaneGap = 16;    // floats between the planes of the points, or all 36 would share a cache set
constexpr float kA = 0.625f, kB = 1.5f;
constexpr float kA2 = kA * kA, kB2 = kB * kB;
constexpr float kA3 = kA2 * kA, kB3 = kB2 * kB;
constexpr double kNormA = 1 / (2.0 * kA2 * (kA2 - kB2)), kNormB = 1 / (2.0 * kB2 * (kB2 - kA2));

// A tile is summed plainly if the squares of the pixels of one of its channels add up to more than the square of this,
// as any larger pixel alone does; and so is a filter by the squares of its taps. An infinity or a NaN would reach
// outputs that do not see it, and so would the rounding of a value that is large beside all others.
constexpr float kLargest = 65536.0f;

// Lanes whose sum of squares is too large, all bits set.
[[gnu::always_inline]] inline vi too_large(vf squares) { return ~(squares <= splat(kLargest * kLargest)); }

[[gnu::always_inline]] inline vf times(float c, vf v) { return splat(c) * v; }
[[gnu::always_inline]] inline vf add_times(vf sum, float c, vf v) { return fma(splat(c), v, sum); }

// t = B^T d
[[gnu::always_inline]] inline void input(const vf (&d)[6], vf (&t)[6]) {
  t[0] = add_times(add_times(d[4], -(kA2 + kB2), d[2]), kA2 * kB2, d[0]);
  t[5] = add_times(add_times(d[5], -(kA2 + kB2), d[3]), kA2 * kB2, d[1]);
  const vf even_a = add_times(d[4], -kB2, d[2]), odd_a = times(kA, add_times(d[3], -kB2, d[1]));
  const vf even_b = add_times(d[4], -kA2, d[2]), odd_b = times(kB, add_times(d[3], -kA2, d[1]));
  t[1] = even_a + odd_a;
  t[2] = even_a - odd_a;
  t[3] = even_b + odd_b;
  t[4] = even_b - odd_b;
}

[[gnu::always_inline]] inline void input(const vf (&d)[4], vf (&t)[4]) {
  t[0] = d[0] - d[2];
  t[1] = d[1] + d[2];
  t[2] = d[2] - d[1];
  t[3] = d[1] - d[3];
}

// t = G g for three taps
[[gnu::always_inline]] inline void filter(const vf (&g)[3], vf (&t)[6]) {
  const float za = static_cast<float>(kNormA), zb = static_cast<float>(kNormB);
  const vf even_a = add_times(times(za, g[0]), static_cast<float>(kA2 * kNormA), g[2]);
  const vf even_b = add_times(times(zb, g[0]), static_cast<float>(kB2 * kNormB), g[2]);
  const vf odd_a = times(static_cast<float>(kA * kNormA), g[1]), odd_b = times(static_cast<float>(kB * kNormB), g[1]);
  t[0] = times(static_cast<float>(1 / (double(kA2) * kB2)), g[0]);
  t[1] = even_a + odd_a;
  t[2] = even_a - odd_a;
  t[3] = even_b + odd_b;
  t[4] = even_b - odd_b;
  t[5] = g[2];
}

[[gnu::always_inline]] inline void filter(const vf (&g)[3], vf (&t)[4]) {
  const vf ends = g[0] + g[2];
  t[0] = g[0];
  t[1] = times(0.5f, ends + g[1]);
  t[2] = times(0.5f, ends - g[1]);
  t[3] = g[2];
}

// t = G g for four taps
[[gnu::always_inline]] inline void filter(const vf (&g)[4], vf (&t)[6]) {
  const float za = static_cast<float>(kNormA), zb = static_cast<float>(kNormB);
  const vf even_a = times(za, add_times(g[0], kA2, g[2])), odd_a = times(za, add_times(times(kA, g[1]), kA3, g[3]));
  const vf even_b = times(zb, add_times(g[0], kB2, g[2])), odd_b = times(zb, add_times(times(kB, g[1]), kB3, g[3]));
  t[0] = times(static_cast<float>(1 / (double(kA2) * kB2)), g[0]);
  t[1] = even_a + odd_a;
  t[2] = even_a - odd_a;
  t[3] = even_b + odd_b;
  t[4] = even_b - odd_b;
  t[5] = g[3];
}

// y = A^T m for four outputs
[[gnu::always_inline]] inline void outputs(const vf (&m)[6], vf (&y)[4]) {
  const vf sum_a = m[1] + m[2], sum_b = m[3] + m[4], gap_a = m[1] - m[2], gap_b = m[3] - m[4];
  y[0] = m[0] + (sum_a + sum_b);
  y[1] = add_times(times(kA, gap_a), kB, gap_b);
  y[2] = add_times(times(kA2, sum_a), kB2, sum_b);
  y[3] = add_times(add_times(m[5], kA3, gap_a), kB3, gap_b);
}

// y = A^T m for two outputs
[[gnu::always_inline]] inline void outputs(const vf (&m)[4], vf (&y)[2]) {
  y[0] = m[0] + (m[1] + m[2]);
  y[1] = (m[1] - m[2]) - m[3];
}

// y = A^T m for three outputs
[[gnu::always_inline]] inline void outputs(const vf (&m)[6], vf (&y)[3]) {
  const vf sum_a = m[1] + m[2], sum_b = m[3] + m[4], gap_a = m[1] - m[2], gap_b = m[3] - m[4];
  y[0] = m[0] + (sum_a + sum_b);
  y[1] = add_times(times(kA, gap_a), kB, gap_b);
  y[2] = add_times(add_times(m[5], kA2, sum_a), kB2, sum_b);
}

// The two-dimensional transforms of a vector of channels, n of them valid: a tile of S x S pixels, `row` and `pixel`
// floats apart, point (i, j) at v + (S i + j) plane. Lanes beyond n become zero. Returns which channels are
// too_large.
template <int S, bool Full>
[[gnu::always_inline]] inline vi transform_input(const float* d, int64_t row, int64_t pixel, int64_t n, float* v,
                                                 int64_t plane) {
  vf t[S][S], squares[2] = {};  // two: one would wait for itself
#pragma GCC unroll 6
  for (int j = 0; j < S; ++j) {
    vf column[S], result[S];
#pragma GCC unroll 6
    for (int i = 0; i < S; ++i) {
      const float* from = d + i * row + j * pixel;
      column[i] = Full ? load(from) : load_n(from, n);
      squares[i % 2] = fma(column[i], column[i], squares[i % 2]);
    }
    input(column, result);
#pragma GCC unroll 6
    for (int i = 0; i < S; ++i) t[i][j] = result[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < S; ++i) {
    vf result[S];
    input(t[i], result);
#pragma GCC unroll 6
    for (int j = 0; j < S; ++j) store(v + (i * S + j) * plane, result[j]);
  }
  return too_large(squares[0] + squares[1]);
}

// All channels of such a tile. Returns whether one is too_large.
template <int S>
[[gnu::noinline]] bool input_tile(const float* d, int64_t row, int64_t pixel, int64_t depth, float* v, int64_t plane) {
  vi large = {};
  int64_t c = 0;
  for (; c + kLanes <= depth; c += kLanes) large |= transform_input<S, true>(d + c, row, pixel, kLanes, v + c, plane);
  if (c < depth) large |= transform_input<S, false>(d + c, row, pixel, depth - c, v + c, plane);
  return any(large);
}

// The same for a tile of 4x4 gradients, the four-tap filter of backward_weight.
template <bool Full>
[[gnu::always_inline]] inline vi transform_gradient(const float* d, int64_t row, int64_t pixel, int64_t n, float* v,
                                                    int64_t plane) {
  vf t[6][4], squares[2] = {};
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    vf column[4], result[6];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const float* from = d + i * row + j * pixel;
      column[i] = Full ? load(from) : load_n(from, n);
      squares[i % 2] = fma(column[i], column[i], squares[i % 2]);
    }
    filter(column, result);
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) t[i][j] = result[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) {
    vf result[6];
    filter(t[i], result);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) store(v + (i * 6 + j) * plane, result[j]);
  }
  return too_large(squares[0] + squares[1]);
}

[[gnu::noinline]] inline bool gradient_tile(const float* d, int64_t row, int64_t pixel, int64_t channels, float* v,
                                            int64_t plane) {
  vi large = {};
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes)
    large |= transform_gradient<true>(d + c, row, pixel, kLanes, v + c, plane);
  if (c < channels) large |= transform_gradient<false>(d + c, row, pixel, channels - c, v + c, plane);
  return any(large);
}

inline int64_t padded(int64_t channels) { return ceil_div(channels, kLanes) * kLanes; }

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

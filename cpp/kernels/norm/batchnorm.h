// What batchnorm and its gradients share. Rows are cut into chunks by the shape only. Where c is small, `fold` rows are
// read as one wide row: full vectors, and short chains of additions.
#pragma once
#include "contract/norm.h"
#include "core/past.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunkFloats = 1 << 15;  // 128 KB of x: the second pass finds it in L2
constexpr int64_t kMinChunkRows = 16;      // so that what a chunk leaves behind is small beside it
constexpr int64_t kWide = 64;              // floats in a wide row, at least,
constexpr int64_t kMaxWide = 1024;         // and where rows are added only for whole vectors, at most
constexpr int64_t kBlock = 64;             // channels of a task that pools chunks
// Vectors of a row that go together; what is needed of their channels stays in registers where there are 32. Rows of so
// many are read and written front to back, longer ones a band of rows at a time. Column by column, memory was no stream
// to the hardware: 32 MB took three times as long.
constexpr int kColumns = 4;
constexpr int64_t kBand = 8;

// Rows of a wide row: enough for its width, and a few more where that gives whole vectors.
inline int64_t fold(int64_t c) {
  if (c == 0) return 1;
  const int64_t least = ceil_div(kWide, c);
  for (int64_t f = least; f <= 16 && f * c <= kMaxWide; ++f)
    if (f * c % 16 == 0) return f;
  return least;
}
inline int64_t wide(int64_t c) { return fold(c) * c; }
inline int64_t chunk_rows(int64_t c) {
  return max64(kMinChunkRows, fold(c) * ceil_div(kChunkFloats, max64(1, wide(c))));
}
inline int64_t chunks(int64_t rows, int64_t c) { return c == 0 ? 0 : ceil_div(rows, chunk_rows(c)); }

// to (wide) = fold copies of from (c), or of `otherwise` where from is null.
inline void repeat(const float* __restrict from, float otherwise, int64_t c, float* __restrict to) {
  for (int64_t f = 0; f < fold(c); ++f)
    for (int64_t j = 0; j < c; ++j) to[f * c + j] = from ? from[j] : otherwise;
}

template <int P>
struct Vectors {
  static constexpr int value = P;
};

// f(Vectors<P>, i, rows, j, n) for all of `rows` rows of `width` floats, of which `columns` count: i is the first float
// of the first row, j the first column of P vectors with n lanes each.
template <class F>
[[gnu::always_inline]] inline void in_blocks(int64_t rows, int64_t columns, int64_t width, F f) {
  const int64_t band = columns <= kColumns * kLanes ? rows : kBand;
  for (int64_t r = 0; r < rows; r += band) {
    const int64_t some = min64(band, rows - r);
    int64_t j = 0;
    for (; j + kColumns * kLanes <= columns; j += kColumns * kLanes) f(Vectors<kColumns>{}, r * width, some, j, kLanes);
    for (; j < columns; j += kLanes) f(Vectors<1>{}, r * width, some, j, min64(kLanes, columns - j));
  }
}

// The same for rows first .. last of c floats, read as wide rows.
template <class F>
[[gnu::always_inline]] inline void in_wide_rows(int64_t rows, int64_t c, F f) {
  const int64_t whole = rows / fold(c), left = rows % fold(c), width = wide(c);
  in_blocks(whole, width, width, f);
  if (left)
    in_blocks(1, left * c, width,
              [&](auto vectors, int64_t, int64_t, int64_t j, int64_t n)
                  __attribute__((always_inline)) { f(vectors, whole * width, 1, j, n); });
}

// out (S, c) = sums over `rows` rows of c floats; `sums` is (S, wide) of scratch. load(j, n, k) gets what K vectors
// hold of n channels from column j of a wide row, terms(k, i, n, t) the S terms of floats [i, i + n) there.
template <int S, int K, class Load, class Terms>
[[gnu::always_inline]] inline void add_rows(int64_t rows, int64_t c, float* sums, float* out, Load load_k,
                                            Terms terms) {
  const int64_t width = wide(c);
  __builtin_memset(sums, 0, S * width * sizeof(float));
  in_wide_rows(rows, c,
               [&](auto vectors, int64_t i, int64_t count, int64_t j, int64_t n) __attribute__((always_inline)) {
                 constexpr int P = decltype(vectors)::value;
                 const int64_t lanes = P > 1 ? kLanes : n;
                 vf k[P][K], total[P][S];
#pragma GCC unroll 4
                 for (int p = 0; p < P; ++p) {
                   load_k(j + p * kLanes, lanes, k[p]);
#pragma GCC unroll 2
                   for (int s = 0; s < S; ++s) total[p][s] = load_n(sums + s * width + j + p * kLanes, lanes);
                 }
                 for (int64_t r = 0; r < count; ++r) {
#pragma GCC unroll 4
                   for (int p = 0; p < P; ++p) {
                     vf t[S];
                     terms(k[p], i + r * width + j + p * kLanes, lanes, t);
#pragma GCC unroll 2
                     for (int s = 0; s < S; ++s) total[p][s] += t[s];
                   }
                 }
#pragma GCC unroll 4
                 for (int p = 0; p < P; ++p)
#pragma GCC unroll 2
                   for (int s = 0; s < S; ++s) store_n(sums + s * width + j + p * kLanes, total[p][s], lanes);
               });
  const int64_t copies = fold(c);
  for (int s = 0; s < S; ++s) {
    for (int64_t j = 0; j < c; ++j) {
      double total = 0;
      for (int64_t k = 0; k < copies; ++k) total += sums[s * width + k * c + j];
      out[s * c + j] = (float)total;
    }
  }
}

// out = apply(k, i, n) over all floats [i, i + n) of rows [first, last), with what load_k(j, n, k) gets of the
// channels.
template <int K, class Load, class Apply>
[[gnu::always_inline]] inline void each_row(int64_t first, int64_t last, int64_t c, float* out, bool past, Load load_k,
                                            Apply apply) {
  const int64_t width = wide(c);
  in_wide_rows(last - first, c,
               [&](auto vectors, int64_t i, int64_t count, int64_t j, int64_t n) __attribute__((always_inline)) {
                 constexpr int P = decltype(vectors)::value;
                 const int64_t lanes = P > 1 ? kLanes : n;
                 vf k[P][K];
#pragma GCC unroll 4
                 for (int p = 0; p < P; ++p) load_k(j + p * kLanes, lanes, k[p]);
                 for (int64_t r = 0; r < count; ++r) {
#pragma GCC unroll 4
                   for (int p = 0; p < P; ++p) {
                     const int64_t at = first * c + i + r * width + j + p * kLanes;
                     const vf y = apply(k[p], at, lanes);
                     if (P > 1)
                       store(out + at, y, past);
                     else
                       store_n(out + at, y, lanes);
                   }
                 }
               });
}

// each_row over the chunks [begin, end), from the last to the first: the pass before this one has ended there, and has
// left in cache what it read last.
template <int K, class Load, class Apply>
[[gnu::always_inline]] inline void each_chunk(int64_t begin, int64_t end, int64_t rows, int64_t c, float* out,
                                              Load load_k, Apply apply) {
  const int64_t step = chunk_rows(c);
  const bool past = wide(c) % kLanes == 0 && step % fold(c) == 0 && goes_past(out, rows * c);
  for (int64_t k = end; k-- > begin;) each_row<K>(k * step, min64((k + 1) * step, rows), c, out, past, load_k, apply);
  finish_past(past);
}

// What a pass over the rows needs of each channel, repeated over a wide row: the mean in two floats, weight * rstd,
// bias.
struct Channels {
  const float *high, *low, *scale, *shift;

  [[gnu::always_inline]] void load(int64_t j, int64_t n, vf* k) const {
    k[0] = load_n(high + j, n), k[1] = load_n(low + j, n), k[2] = load_n(scale + j, n), k[3] = load_n(shift + j, n);
  }
};
[[gnu::always_inline]] inline vf deviation(const vf* k, vf x) { return x - k[0] - k[1]; }
[[gnu::always_inline]] inline vf normal(const vf* k, vf deviation) { return fma(deviation, k[2], k[3]); }

inline Channels channels(const float* statistics, const float* weight, const float* bias, int64_t c, float* scratch) {
  const int64_t width = wide(c);
  float *high = scratch, *low = scratch + width, *scale = scratch + 2 * width, *shift = scratch + 3 * width;
  repeat(statistics, 0.0f, c, high);
  repeat(statistics + c, 0.0f, c, low);
  repeat(weight, 1.0f, c, scale);
  repeat(bias, 0.0f, c, shift);
  for (int64_t f = 0; f < fold(c); ++f)
    for (int64_t j = 0; j < c; ++j) scale[f * c + j] *= statistics[2 * c + j];
  return {high, low, scale, shift};
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

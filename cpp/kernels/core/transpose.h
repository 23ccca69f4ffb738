// Blocks of kLanes x kLanes floats turned in registers: what lies apart in memory becomes the lanes of a vector, and
// back. Packing filters and unpacking their gradients would otherwise move one float at a time.
#pragma once
#include "simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// The lower and the upper halves of a and b, lane by lane.
[[gnu::always_inline]] inline void interleave(vf a, vf b, vf& low, vf& high) {
#if defined(__AVX512F__)
  const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  low = _mm512_permutex2var_ps(a, first, b);
  high = _mm512_permutex2var_ps(a, second, b);
#elif defined(__AVX2__)
  const __m256 even = _mm256_unpacklo_ps(a, b), odd = _mm256_unpackhi_ps(a, b);
  low = _mm256_permute2f128_ps(even, odd, 0x20);
  high = _mm256_permute2f128_ps(even, odd, 0x31);
#else
  low = vf{a[0], b[0], a[1], b[1]};
  high = vf{a[2], b[2], a[3], b[3]};
#endif
}

// One round: the top bit of the row's number moves to the bottom of the lane's, the top bit of the lane's to the bottom
// of the row's.
template <int N>
[[gnu::always_inline]] inline void rotate_bits(vf (&v)[N]) {
  vf w[N];
#pragma GCC unroll 16
  for (int64_t i = 0; i < N / 2; ++i) interleave(v[i], v[i + N / 2], w[2 * i], w[2 * i + 1]);
#pragma GCC unroll 16
  for (int64_t i = 0; i < N; ++i) v[i] = w[i];
}

// v[i][j] <-> v[j][i]: after as many rounds as these numbers have bits the two have changed places.
[[gnu::always_inline]] inline void transpose(vf (&v)[kLanes]) {
#pragma GCC unroll 4
  for (int64_t round = 1; round < kLanes; round *= 2) rotate_bits(v);
}

// The same for half as many rows, a round less: lane half * kLanes / 2 + j of v[i] is what was lane 2 i + half of v[j].
constexpr int kHalfLanes = kLanes / 2;
[[gnu::always_inline]] inline void turn_half(vf (&v)[kHalfLanes]) {
#pragma GCC unroll 4
  for (int64_t round = 2; round < kLanes; round *= 2) rotate_bits(v);
}

// Lane i of the result is the sum over v[i]: halves are added as in transpose, with half as many vectors every round.
[[gnu::always_inline]] inline vf sum_lanes(vf (&v)[kLanes]) {
#pragma GCC unroll 4
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
#pragma GCC unroll 16
    for (int64_t i = 0; i < half; ++i) {
      vf low, high;
      interleave(v[i], v[i + half], low, high);
      v[i] = low + high;
    }
  }
  return v[0];
}

// sums[i] = the sum over the lanes of v[i], i < N; sums has room for whole vectors.
template <int N>
constexpr int kSums = (N + kLanes - 1) / kLanes * kLanes;
template <int N>
[[gnu::always_inline]] inline void sum_all_lanes(const vf (&v)[N], float (&sums)[kSums<N>]) {
#pragma GCC unroll 8
  for (int first = 0; first < N; first += kLanes) {
    vf part[kLanes];
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l) part[l] = first + l < N ? v[first + l] : vf{};
    store(sums + first, sum_lanes(part));
  }
}

// rows[i * row_step + lane] = from[lane * step + i] for i < count, lane < lanes; the other lanes become zero.
[[gnu::noinline]] inline void gather_lanes(const float* from, int64_t step, int64_t count, int64_t lanes, float* rows,
                                           int64_t row_step) {
  vf v[kLanes];
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
#pragma GCC unroll 16
    for (int64_t l = 0; l < kLanes; ++l) v[l] = l < lanes ? load(from + l * step + i) : vf{};
    transpose(v);
#pragma GCC unroll 16
    for (int64_t l = 0; l < kLanes; ++l) store(rows + (i + l) * row_step, v[l]);
  }
  if (i == count) return;
#pragma GCC unroll 16
  for (int64_t l = 0; l < kLanes; ++l) v[l] = l < lanes ? load_n(from + l * step + i, count - i) : vf{};
  if (count - i <= kHalfLanes) {  // the upper half of every vector is zero: so is that of the first round's result
    vf half[kHalfLanes], zero;
#pragma GCC unroll 8
    for (int64_t l = 0; l < kHalfLanes; ++l) interleave(v[l], v[l + kHalfLanes], half[l], zero);
    turn_half(half);
#pragma GCC unroll 8
    for (int64_t l = 0; l < kHalfLanes; ++l)
      if (i + l < count) store(rows + (i + l) * row_step, half[l]);
    return;
  }
  transpose(v);
#pragma GCC unroll 16
  for (int64_t l = 0; l < kLanes; ++l)
    if (i + l < count) store(rows + (i + l) * row_step, v[l]);
}

// to[lane * count + i] = rows[i * row_step + lane] for lane < lanes, as scatter_lanes, where there are at most half a
// vector of rows: pairs of lanes leave as one vector.
template <int Count>
[[gnu::noinline]] void scatter_pairs(const float* rows, int64_t row_step, int64_t lanes, float* to) {
  vf v[kHalfLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kHalfLanes; ++i) v[i] = load(rows + (i < Count ? i : 0) * row_step);
  turn_half(v);
  vi from = {};  // without the lanes of rows that are not there
#pragma GCC unroll 16
  for (int l = 0; l < kLanes; ++l) from[l] = l < Count ? l : (l - Count + kHalfLanes) % kLanes;
#pragma GCC unroll 8
  for (int i = 0; i < kHalfLanes; ++i) {
    const int64_t left = (lanes - 2 * i) * Count;
    if (left <= 0) return;
    if (left > kLanes)  // what is too much is written again
      store(to + 2 * i * Count, permute(v[i], v[i], from));
    else
      store_n(to + 2 * i * Count, permute(v[i], v[i], from), min64(left, 2 * Count));
  }
}

// to[lane * step + i] = rows[i * row_step + lane] for i < count, lane < lanes; whole vectors of rows are read.
[[gnu::noinline]] inline void scatter_lanes(const float* rows, int64_t row_step, int64_t count, int64_t lanes,
                                            float* to, int64_t step) {
  for (int64_t i = 0; i < count; i += kLanes) {
    vf v[kLanes];
#pragma GCC unroll 16
    for (int64_t l = 0; l < kLanes; ++l) v[l] = i + l < count ? load(rows + (i + l) * row_step) : vf{};
    transpose(v);
#pragma GCC unroll 16
    for (int64_t l = 0; l < kLanes; ++l)
      if (l < lanes) store_n(to + l * step + i, v[l], count - i);
  }
}

// to[j * to_row + i] = from[i * from_row + j] for i < rows, j < cols; nothing else is read or written.
[[gnu::noinline]] inline void transpose_rows(const float* from, int64_t from_row, int64_t rows, int64_t cols, float* to,
                                             int64_t to_row) {
  for (int64_t j = 0; j < cols; j += kLanes) {
    for (int64_t i = 0; i < rows; i += kLanes) {
      const int64_t high = min64(kLanes, rows - i), wide = min64(kLanes, cols - j);
      const float* x = from + i * from_row + j;
      float* y = to + j * to_row + i;
      vf v[kLanes];
      if (high == kLanes && wide == kLanes) {
#pragma GCC unroll 16
        for (int64_t l = 0; l < kLanes; ++l) v[l] = load(x + l * from_row);
        transpose(v);
#pragma GCC unroll 16
        for (int64_t l = 0; l < kLanes; ++l) store(y + l * to_row, v[l]);
        continue;
      }
#pragma GCC unroll 16
      for (int64_t l = 0; l < kLanes; ++l) v[l] = l < high ? load_n(x + l * from_row, wide) : vf{};
      transpose(v);
#pragma GCC unroll 16
      for (int64_t l = 0; l < kLanes; ++l)
        if (l < wide) store_n(y + l * to_row, v[l], high);
    }
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// Vectors of int32 whose values fit a byte, kept in memory as bytes (or, with the same names, as int32).
#pragma once
#include "simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

typedef uint8_t vb __attribute__((vector_size(kLanes)));

// The first n lanes from p, zeros after them; n >= 0, all lanes if n >= kLanes.
[[gnu::always_inline]] inline vi load_index(const uint8_t* p, int64_t n) {
#if defined(__AVX512F__)
  const __mmask16 lanes = n >= kLanes ? (__mmask16)0xffff : (__mmask16)((1u << n) - 1);
  return (vi)_mm512_maskz_cvtepu8_epi32(0xffff, _mm_maskz_loadu_epi8(lanes, p));
#else
  vb bytes = {};
  if (n >= kLanes)
    __builtin_memcpy(&bytes, p, sizeof bytes);
  else
    for (int64_t i = 0; i < n; ++i) bytes[i] = p[i];
#if defined(__AVX2__)
  return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)&bytes));
#else
  return __builtin_convertvector(bytes, vi);
#endif
#endif
}

[[gnu::always_inline]] inline vi load_index(const int32_t* p, int64_t n) { return (vi)load_n((const float*)p, n); }

// Writes the first n lanes of v; nothing beyond p[n - 1] is touched.
[[gnu::always_inline]] inline void store_index(uint8_t* p, vi v, int64_t n) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)v);
  if (n >= kLanes)
    _mm_storeu_si128((__m128i*)p, bytes);
  else
    _mm_mask_storeu_epi8(p, (__mmask16)((1u << n) - 1), bytes);
#else
  const vb bytes = __builtin_convertvector(v, vb);
  if (n >= kLanes)
    __builtin_memcpy(p, &bytes, sizeof bytes);
  else
    for (int64_t i = 0; i < n; ++i) p[i] = bytes[i];
#endif
}

[[gnu::always_inline]] inline void store_index(int32_t* p, vi v, int64_t n) { store_n((float*)p, (vf)v, n); }

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// vf, vi: the widest float and int32 vectors of this ISA level, on GCC/Clang vector extensions.
// Arithmetic, comparison and `mask ? a : b` are the language's own; only what it lacks is here.
// Everything has internal linkage, so no function compiled for one ISA can be linked into another.
#pragma once
#include <stdint.h>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace fastnn {
namespace FASTNN_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int64_t kLanes = 16;
constexpr int64_t kRegisters = 32;
#elif defined(__AVX2__)
constexpr int64_t kLanes = 8;
constexpr int64_t kRegisters = 16;
#elif defined(__aarch64__)
constexpr int64_t kLanes = 4;
constexpr int64_t kRegisters = 32;
#else
constexpr int64_t kLanes = 4;
constexpr int64_t kRegisters = 16;
#endif

// Whether permute is a single instruction.
constexpr bool kPermutes = kLanes > 4;

typedef float vf __attribute__((vector_size(kLanes * 4)));
typedef int32_t vi __attribute__((vector_size(kLanes * 4)));
typedef uint32_t vu __attribute__((vector_size(kLanes * 4)));

[[gnu::always_inline]] inline vf load(const float* p) {
  vf v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}

[[gnu::always_inline]] inline void store(float* p, vf v) { __builtin_memcpy(p, &v, sizeof v); }

[[gnu::always_inline]] inline vf splat(float x) {
#if defined(__AVX512F__)
  return _mm512_set1_ps(x);
#elif defined(__AVX2__)
  return _mm256_set1_ps(x);
#else
  return vf{x, x, x, x};
#endif
}

[[gnu::always_inline]] inline vi splat_int(int32_t x) { return vi{} + x; }

// The same bits as another type.
[[gnu::always_inline]] inline vi bits(vf v) { return (vi)v; }
[[gnu::always_inline]] inline vf from_bits(vi v) { return (vf)v; }

[[gnu::always_inline]] inline vf abs(vf v) { return from_bits(bits(v) & splat_int(INT32_MAX)); }
// The magnitude of v with the sign of s.
[[gnu::always_inline]] inline vf copy_sign(vf v, vf s) {
  return from_bits((bits(v) & splat_int(INT32_MAX)) | (bits(s) & splat_int(INT32_MIN)));
}

// Lanes as integers, rounded towards zero; |v| < 2^31 (NaN: any value).
[[gnu::always_inline]] inline vi to_int(vf v) { return __builtin_convertvector(v, vi); }
[[gnu::always_inline]] inline vf to_float(vi n) { return __builtin_convertvector(n, vf); }
// 2^n for -126 <= n <= 127.
[[gnu::always_inline]] inline vf pow2(vi n) { return (vf)((vu)(n + splat_int(127)) << 23); }

// a * b + c, rounded once where the hardware has it (not on x86 baseline).
[[gnu::always_inline]] inline vf fma(vf a, vf b, vf c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__ARM_NEON)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

// Keeps a vector in its register. The compiler would load it again in every instruction that uses it.
[[gnu::always_inline]] inline void keep(vf& v) {
#if defined(__aarch64__)
  asm("" : "+w"(v));
#elif defined(__AVX512F__)
  asm("" : "+v"(v));
#elif defined(__x86_64__)
  asm("" : "+x"(v));
#endif
}

// Lane i is lane index[i] of a, or index[i] - kLanes of b; 0 <= index < 2 kLanes.
[[gnu::always_inline]] inline vf permute(vf a, vf b, vi index) {
#if defined(__AVX512F__)
  return _mm512_permutex2var_ps(a, (__m512i)index, b);
#elif defined(__AVX2__)
  const vf low = _mm256_permutevar8x32_ps(a, (__m256i)index), high = _mm256_permutevar8x32_ps(b, (__m256i)index);
  return index >= splat_int(kLanes) ? high : low;
#else
  float lanes[2 * kLanes];
  store(lanes, a);
  store(lanes + kLanes, b);
  return vf{lanes[index[0]], lanes[index[1]], lanes[index[2]], lanes[index[3]]};
#endif
}

// The first n lanes from p, zeros after them; nothing beyond p[n - 1] is read. n >= 0; all lanes if n >= kLanes.
[[gnu::always_inline]] inline vf load_n(const float* p, int64_t n) {
  if (n >= kLanes) return load(p);
#if defined(__AVX512F__)
  return _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif defined(__AVX2__)
  return _mm256_maskload_ps(p,
                            _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
#else
  vf v = {};
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}

// Writes the first n lanes of v; nothing beyond p[n - 1] is touched.
[[gnu::always_inline]] inline void store_n(float* p, vf v, int64_t n) {
  if (n >= kLanes) return store(p, v);
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), v);
#elif defined(__AVX2__)
  _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)), v);
#else
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// As load_n, with `fill` instead of zeros.
[[gnu::always_inline]] inline vf load_n(const float* p, int64_t n, float fill) {
#if defined(__AVX512F__)
  if (n >= kLanes) return load(p);
  return _mm512_mask_loadu_ps(splat(fill), (__mmask16)((1u << n) - 1), p);
#else
  float lanes[kLanes];
  store(lanes, load_n(p, n));
  for (int64_t i = n; i < kLanes; ++i) lanes[i] = fill;
  return load(lanes);
#endif
}

// Lane i of the result is lane at[i] of v, 0 <= at[i] < kLanes.
[[gnu::always_inline]] inline vf permute(vf v, vi at) {
#if defined(__AVX512F__)
  return _mm512_maskz_permutexvar_ps(0xffff, (__m512i)at, v);  // the plain form makes GCC 12 warn of its own header
#elif defined(__AVX2__)
  return _mm256_permutevar8x32_ps(v, (__m256i)at);
#else
  return vf{v[at[0]], v[at[1]], v[at[2]], v[at[3]]};
#endif
}

// Sum of the lanes in a fixed tree: halves are added until one lane is left.
#if defined(__AVX2__)
[[gnu::always_inline]] inline float sum4(__m128 v) {
  v = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_movehdup_ps(v)));
}
[[gnu::always_inline]] inline float sum8(__m256 v) {
  return sum4(_mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1)));
}
#endif
[[gnu::always_inline]] inline float sum(vf v) {
#if defined(__AVX512F__)
  return sum8(_mm256_add_ps(_mm512_maskz_extractf32x8_ps(0xff, v, 0), _mm512_maskz_extractf32x8_ps(0xff, v, 1)));
#elif defined(__AVX2__)
  return sum8(v);
#else
  return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

[[gnu::always_inline]] inline vf max(vf a, vf b) { return a > b ? a : b; }

[[gnu::always_inline]] inline bool has_nan(vf v) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)) != 0;
#else
  const vi nan = v != v;
  return (nan[0] | nan[1] | nan[2] | nan[3]) != 0;
#endif
}

// Whether any lane of a comparison's result holds.
[[gnu::always_inline]] inline bool any(vi mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_ps((__m256)mask) != 0;
#else
  return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
#endif
}

// Largest lane; with a NaN among them, any.
#if defined(__AVX2__)
[[gnu::always_inline]] inline float max8(__m256 v) {
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_movehdup_ps(q)));
}
#endif
[[gnu::always_inline]] inline float max(vf v) {
#if defined(__AVX512F__)
  return max8(_mm256_max_ps(_mm512_maskz_extractf32x8_ps(0xff, v, 0), _mm512_maskz_extractf32x8_ps(0xff, v, 1)));
#elif defined(__AVX2__)
  return max8(v);
#else
  const float a = v[0] > v[2] ? v[0] : v[2], b = v[1] > v[3] ? v[1] : v[3];
  return a > b ? a : b;
#endif
}

[[gnu::always_inline]] inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
[[gnu::always_inline]] inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }
[[gnu::always_inline]] inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// Numbers of any size, as sums over paths need them: vectors of m 2^e, m a double in [1, 2), e a whole number in a
// double of its own. Products never underflow and sums never lose a term that matters, at a third of the cost of
// logarithms: adding two takes two powers of two, that is shifts, where adding logarithms takes exp and log. Relative
// errors are those of double arithmetic. NaN does not come through: who has input that may be NaN looks for it.
#pragma once
#include "simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kDoubles = kLanes / 2;
typedef double vd __attribute__((vector_size(kDoubles * 8)));
typedef int64_t vl __attribute__((vector_size(kDoubles * 8)));
typedef uint64_t vul __attribute__((vector_size(kDoubles * 8)));
typedef float vh __attribute__((vector_size(kDoubles * 4)));  // half a vector of floats

[[gnu::always_inline]] inline vd splat_double(double x) { return vd{} + x; }
[[gnu::always_inline]] inline vd load_doubles(const double* p) {
  vd v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
[[gnu::always_inline]] inline void store_doubles(double* p, vd v) { __builtin_memcpy(p, &v, sizeof v); }
// kDoubles floats from p.
[[gnu::always_inline]] inline vd load_as_doubles(const float* p) {
  vh v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, vd);
}
[[gnu::always_inline]] inline void store_as_floats(float* p, vd v) {
  const vh narrow = __builtin_convertvector(v, vh);
  __builtin_memcpy(p, &narrow, sizeof narrow);
}
[[gnu::always_inline]] inline vd abs(vd v) { return (vd)((vl)v & INT64_MAX); }
[[gnu::always_inline]] inline vd max(vd a, vd b) { return a > b ? a : b; }
[[gnu::always_inline]] inline vd min(vd a, vd b) { return a < b ? a : b; }
[[gnu::always_inline]] inline vd fma(vd a, vd b, vd c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_pd(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_pd(a, b, c);
#elif defined(__ARM_NEON)
  return vfmaq_f64(c, a, b);
#else
  return a * b + c;
#endif
}
// In the order of the lanes.
inline double sum(vd v) {
  double total = 0;
  for (int64_t i = 0; i < kDoubles; ++i) total += v[i];
  return total;
}
inline bool any(vl mask) {
  int64_t all = 0;
  for (int64_t i = 0; i < kDoubles; ++i) all |= mask[i];
  return all != 0;
}

// 2^k for whole k < 1024, as if they were at least -1022. Adding 1.5 2^52 leaves whole numbers in the low bits.
[[gnu::always_inline]] inline vd pow2(vd k) {
  k = max(k, splat_double(-1022));
  return (vd)((vul)(k + splat_double(6755399441055744.0 + 1023)) << 52);
}

struct Wide {
  vd m, e;
};

// Zero is any m with an exponent that no product of floats comes near, nor of so many zeros.
constexpr double kZeroExponent = -1e280;
[[gnu::always_inline]] inline Wide zero() { return {splat_double(1), splat_double(kZeroExponent)}; }
[[gnu::always_inline]] inline bool is_zero(double e) { return e < 1e-10 * kZeroExponent; }

// m in [1, 2) again; it must be positive and normal.
[[gnu::always_inline]] inline Wide normalised(Wide a) {
  const vul bits = (vul)a.m;
  const vd exponent = (vd)((bits >> 52) | 0x4330000000000000u) - splat_double(4503599627370496.0);  // 2^52 + it, - 2^52
  return {(vd)((bits & 0xfffffffffffffu) | 0x3ff0000000000000u), a.e + (exponent - splat_double(1023))};
}

// Neither is normalised: m may grow by a factor of 2 and 4.
[[gnu::always_inline]] inline Wide sum(Wide a, Wide b) {
  const vd e = max(a.e, b.e);
  return {fma(a.m, pow2(a.e - e), b.m * pow2(b.e - e)), e};
}
[[gnu::always_inline]] inline Wide product(Wide a, Wide b) { return {a.m * b.m, a.e + b.e}; }
// As plain numbers; what is above 16, as no probability is, only has to be some number.
[[gnu::always_inline]] inline vd plain(Wide a) { return a.m * pow2(min(a.e, splat_double(4))); }

// exp(x), m in [0.7, 1.42]: x = n ln 2 + r with |r| <= ln(2) / 2, and Taylor's series of exp(r) to r^11, 7e-15.
// -inf and NaN give zero.
[[gnu::always_inline]] inline Wide wide_exp(vd x) {
  x = min(max(x, splat_double(kZeroExponent)), splat_double(-kZeroExponent));
  const vd scaled = x * splat_double(1.4426950408889634), magic = splat_double(6755399441055744.0);
  const vd large = splat_double(1e15);  // whole numbers, or as good as: the magic number is too small for them
  const vd n = scaled > large || scaled < -large ? scaled : (scaled + magic) - magic;
  vd r = fma(n, splat_double(-1.90821492927058770002e-10), fma(n, splat_double(-6.93147180369123816490e-01), x));
  r = min(max(r, splat_double(-0.35)), splat_double(0.35));  // large n leave no digits for r
  vd p = splat_double(1.0 / 39916800);
  p = fma(p, r, splat_double(1.0 / 3628800));
  p = fma(p, r, splat_double(1.0 / 362880));
  p = fma(p, r, splat_double(1.0 / 40320));
  p = fma(p, r, splat_double(1.0 / 5040));
  p = fma(p, r, splat_double(1.0 / 720));
  p = fma(p, r, splat_double(1.0 / 120));
  p = fma(p, r, splat_double(1.0 / 24));
  p = fma(p, r, splat_double(1.0 / 6));
  p = fma(p, r, splat_double(0.5));
  p = fma(p, r, splat_double(1));
  return {fma(p, r, splat_double(1)), n};
}

// log(m 2^e) for m in [1/2, 8]: 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.172, to s^21.
inline double wide_log(double m, double e) {
  for (; m > 1.4142135623730951; m *= 0.5) ++e;
  for (; m < 0.7071067811865476; m *= 2) --e;
  const double s = (m - 1) / (m + 1), square = s * s;
  double series = 1.0 / 21;
  for (int k = 19; k > 0; k -= 2) series = series * square + 1.0 / k;
  return e * 0.69314718055994531 + 2 * s * series;
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

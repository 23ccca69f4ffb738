// exp, expm1, log, log1p, sigmoid, tanh and erf of vectors, without libm or tables. Bounds against float64 over all
// floats, with FMA or without:
//   exp <= 1.1 ULP, sigmoid <= 2.5 ULP, tanh <= 2.7 ULP, also where the result is subnormal or next to zero;
//   log <= 0.9 ULP, erf <= 1.2 ULP; expm1 below 0 <= 1 ULP, log1p of exp(x) with x <= 0 <= 2.1 ULP.
// NaN gives NaN; +-inf and overflow give the exact limit. The same bits on every ISA level that has FMA.
#pragma once
#include "simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// x cut at a bound; NaN stays (the instructions return their second operand, the compiler would compare and blend).
[[gnu::always_inline]] inline vf at_least(vf x, vf low) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(0xffff, low, x);
#elif defined(__AVX2__)
  return _mm256_max_ps(low, x);
#else
  return x < low ? low : x;
#endif
}
[[gnu::always_inline]] inline vf at_most(vf x, vf high) {
#if defined(__AVX512F__)
  return _mm512_maskz_min_ps(0xffff, high, x);
#elif defined(__AVX2__)
  return _mm256_min_ps(high, x);
#else
  return x > high ? high : x;
#endif
}

// v * 2^n for whole n with |n| <= 252, rounded once.
[[gnu::always_inline]] inline vf scale(vf v, vf n) {
#if defined(__AVX512F__)
  return _mm512_maskz_scalef_ps(0xffff, v, n);
#else
  const vi whole = to_int(n), half = whole >> 1;
  return v * pow2(half) * pow2(whole - half);
#endif
}

// x = n ln 2 + r with n whole, |r| <= ln(2) / 2 (Cody and Waite 1980: the high part of ln 2 times n is exact).
struct Reduced {
  vf n, r;
};
[[gnu::always_inline]] inline Reduced reduce(vf x) {
  const vf magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const vf n = fma(x, splat(1.44269504f), magic) - magic;
  return {n, fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), x))};
}

// exp(r) - 1 for |r| <= ln(2) / 2: degree 6, minimax, 3.1e-9 of exp(r).
[[gnu::always_inline]] inline vf expm1_reduced(vf r) {
  vf p = splat(1.3814571e-3f);
  p = fma(p, r, splat(8.368724e-3f));
  p = fma(p, r, splat(4.166839e-2f));
  p = fma(p, r, splat(1.6666521e-1f));
  p = fma(p, r, splat(4.9999994e-1f));
  return fma(p * r, r, r);
}

[[gnu::always_inline]] inline vf exp(vf x) {
  x = at_most(at_least(x, splat(-104.0f)), splat(89.0f));  // exp(-104) rounds to 0, exp(89) to inf
  const Reduced a = reduce(x);
  return scale(splat(1.0f) + expm1_reduced(a.r), a.n);
}

// 1 / (1 + exp(-x)), with full relative accuracy for negative x.
[[gnu::always_inline]] inline vf sigmoid(vf x) {
  const Reduced a = reduce(at_least(-abs(x), splat(-104.0f)));
  const vf e = scale(splat(1.0f) + expm1_reduced(a.r), a.n);
  return (x < vf{} ? e : splat(1.0f)) / (splat(1.0f) + e);
}

// exp(x) - 1 for x <= 0, which keeps its relative accuracy next to zero; for x > 0 any number.
[[gnu::always_inline]] inline vf expm1(vf x) {
  const Reduced a = reduce(at_least(x, splat(-40.0f)));
  const vf s = pow2(to_int(a.n));
  return fma(expm1_reduced(a.r), s, s - splat(1.0f));
}

// With m = exp(-2 |x|) - 1: -m / (2 + m), and the sign of x.
[[gnu::always_inline]] inline vf tanh(vf x) {
  const vf m = expm1(abs(x) * splat(-2.0f));
  return copy_sign(-m / (splat(2.0f) + m), x);
}

// x = m 2^e with m in [sqrt(1/2), sqrt(2)) as in Cephes' logf; log(m) = f - f^2 / 2 + f^3 p(f) with f = m - 1, p of
// degree 7, minimax, 5.8e-9 of log(m). Negative x gives NaN, +-0 gives -inf.
[[gnu::always_inline]] inline vf log(vf x) {
  const auto small = x < splat(1.17549435e-38f);  // subnormal: scaled into the normal range first
  // Minus the bits of sqrt(1/2), so that the exponent field counts from there; unsigned, as negative x wraps.
  const vi whole = (vi)((vu)bits(small ? x * splat(8388608.0f) : x) - (vu)splat_int(0x3f3504f3));
  const vf e = to_float(whole >> 23) - (small ? splat(23.0f) : vf{});
  const vf f = from_bits((whole & splat_int(0x7fffff)) + splat_int(0x3f3504f3)) - splat(1.0f);
  vf p = splat(-7.63648078e-2f);
  p = fma(p, f, splat(1.27622396e-1f));
  p = fma(p, f, splat(-1.31596088e-1f));
  p = fma(p, f, splat(1.42015785e-1f));
  p = fma(p, f, splat(-1.66234091e-1f));
  p = fma(p, f, splat(2.00012416e-1f));
  p = fma(p, f, splat(-2.50008196e-1f));
  p = fma(p, f, splat(3.33333313e-1f));
  const vf square = f * f;
  vf low = fma(p * f, square, e * splat(-2.12194440e-4f));
  low = fma(square, splat(-0.5f), low);
  vf y = fma(e, splat(0.693359375f), f + low);
  y = x > vf{} ? y : x == vf{} ? splat(-__builtin_inff()) : splat(__builtin_nanf(""));
  return x < splat(__builtin_inff()) ? y : x;  // inf and NaN
}

// log(1 + x) for 0 <= x <= 1: what is lost in 1 + x, times the derivative there, is added to its logarithm.
[[gnu::always_inline]] inline vf log1p(vf x) {
  const vf y = splat(1.0f) + x;
  return log(y) + (x - (y - splat(1.0f))) / y;
}

// |x| < 0.9375: x + x p(x^2), minimax, 9.0e-10 of erf(x). Above: 1 - exp(-t - t q(t)) with t = |x|, 7.4e-10 of erf(x).
[[gnu::always_inline]] inline vf erf(vf x) {
  const vf t = abs(x), square = x * x;
  vf p = splat(8.00027192e-5f);
  p = fma(p, square, splat(-8.05038377e-4f));
  p = fma(p, square, splat(5.19243814e-3f));
  p = fma(p, square, splat(-2.6855737e-2f));
  p = fma(p, square, splat(1.12836257e-1f));
  p = fma(p, square, splat(-3.76126289e-1f));
  p = fma(p, square, splat(1.28379166e-1f));
  const vf u = t > splat(3.95f) ? splat(3.95f) : t;  // erf(3.95) rounds to 1
  vf q = splat(1.1230014e-5f);
  q = fma(q, u, splat(-3.22794018e-4f));
  q = fma(q, u, splat(3.6424296e-3f));
  q = fma(q, u, splat(-2.37620194e-2f));
  q = fma(q, u, splat(1.06236845e-1f));
  q = fma(q, u, splat(6.35151327e-1f));
  q = fma(q, u, splat(1.2864849e-1f));
  const vf far = splat(1.0f) - exp(-fma(q, u, u));
  return t < splat(0.9375f) ? fma(p, x, x) : copy_sign(far, x);
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

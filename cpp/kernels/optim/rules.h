// The rules of the optimizers: step(w, g, states, o) gives the new weights from the old ones and their gradient and
// moves the states that used(o) names, bit i for state i. o are the options of the rule, in the order of its enum;
// Python computes them per step in float64. Each rule also has a row in optimizer.cpp. Formulas are those of
// torch.optim.
#pragma once
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// The states of n weights from i on.
struct States {
  float* const* arrays;
  int64_t i, n;

  vf get(int state) const { return load_n(arrays[state] + i, n); }
  void put(int state, vf v) const { store_n(arrays[state] + i, v, n); }
};

// beta old + (1 - beta) now. Near beta = 1 the rounding of beta itself would be felt (of 0.999: 1e-5 of v), so the
// smaller of the two weights is used, on the difference.
inline vf average(vf old, vf now, float beta, float one_minus_beta) {
  return beta < 0.5f ? fma(splat(beta), old - now, now) : fma(splat(one_minus_beta), now - old, old);
}

inline vf square_root(vf x) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps((__mmask16)-1, x);  // the plain one warns on GCC 12
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(x);
#else
  for (int64_t i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

// m and v are running means of g and g g; w -= lr_m m / (scale_v sqrt(v) + eps), where lr_m = lr / (1 - beta1^t) and
// scale_v = 1 / sqrt(1 - beta2^t). Weight decay times w is added to g, or, already multiplied by lr, subtracted from w
// (decoupled: AdamW).
struct Adam {
  enum {
    beta1,
    one_minus_beta1,
    beta2,
    one_minus_beta2,
    lr_m,
    scale_v,
    eps,
    weight_decay,
    decoupled,
    maximize,
    kOptions
  };
  enum { m, v, kStates };
  static unsigned used(const float*) { return 3; }
  static vf step(vf w, vf g, const States& s, const float* o) {
    if (o[maximize] != 0) g = -g;
    if (o[decoupled] == 0) g = fma(splat(o[weight_decay]), w, g);
    const vf mean = average(s.get(m), g, o[beta1], o[one_minus_beta1]);
    const vf square = average(s.get(v), g * g, o[beta2], o[one_minus_beta2]);
    vf change = splat(o[lr_m]) * mean / fma(splat(o[scale_v]), square_root(square), splat(o[eps]));
    if (o[decoupled] != 0) change = fma(splat(o[weight_decay]), w, change);
    s.put(m, mean);
    s.put(v, square);
    return w - change;
  }
};

// change = g / (sqrt(mean of g g) + eps), centered: less the square of the mean of g; with momentum: of the running
// sum.
struct Rmsprop {
  enum { lr, alpha, one_minus_alpha, eps, weight_decay, momentum, centered, maximize, kOptions };
  enum { square_avg, buffer, grad_avg, kStates };
  static unsigned used(const float* o) { return 1 | (o[momentum] != 0) << buffer | (o[centered] != 0) << grad_avg; }
  static vf step(vf w, vf g, const States& s, const float* o) {
    if (o[maximize] != 0) g = -g;
    if (o[weight_decay] != 0) g = fma(splat(o[weight_decay]), w, g);
    const vf square = average(s.get(square_avg), g * g, o[alpha], o[one_minus_alpha]);
    s.put(square_avg, square);
    vf spread = square;
    if (o[centered] != 0) {
      const vf mean = average(s.get(grad_avg), g, o[alpha], o[one_minus_alpha]);
      s.put(grad_avg, mean);
      spread = fma(-mean, mean, square);
      spread = spread < vf{} ? vf{} : spread;  // by rounding
    }
    vf change = g / (square_root(spread) + splat(o[eps]));
    if (o[momentum] != 0) {
      change = fma(splat(o[momentum]), s.get(buffer), change);
      s.put(buffer, change);
    }
    return fma(splat(-o[lr]), change, w);
  }
};

// d = g + weight_decay w; with momentum: buffer = d (first) or momentum buffer + (1 - dampening) d, and then
// d = buffer, or d + momentum buffer (nesterov); w -= lr d.
struct Sgd {
  enum { lr, momentum, one_minus_dampening, weight_decay, nesterov, maximize, first, kOptions };
  enum { buffer, kStates };
  static unsigned used(const float* o) { return o[momentum] != 0; }
  static vf step(vf w, vf g, const States& s, const float* o) {
    vf d = o[maximize] != 0 ? -g : g;
    if (o[weight_decay] != 0) d = fma(splat(o[weight_decay]), w, d);
    if (o[momentum] != 0) {
      vf b = d;
      if (o[first] == 0) b = fma(splat(o[momentum]), s.get(buffer), splat(o[one_minus_dampening]) * d);
      s.put(buffer, b);
      d = o[nesterov] != 0 ? fma(splat(o[momentum]), b, d) : b;
    }
    return fma(splat(-o[lr]), d, w);
  }
};

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

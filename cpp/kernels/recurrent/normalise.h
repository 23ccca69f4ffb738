// Layer normalisation of one row (Ba et al. 2016, arXiv 1607.06450), forward and backward, inside a step. Sums are
// taken lane by lane, then over the lanes in a fixed tree.
#pragma once
#include "variant.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr float kNormEpsilon = 1e-5f;  // added to the variance, as in torch.nn.LayerNorm

struct Statistics {
  float mean, scale;  // 1 / deviation
};

inline Statistics statistics(const float* x, int64_t n) {
  vf total = {}, squares = {};
  for (int64_t i = 0; i < n; i += kLanes) total = total + load_n(x + i, n - i);
  const float mean = sum(total) / (float)n;
  for (int64_t i = 0; i < n; i += kLanes) {
    const vf d = (i + kLanes <= n ? load(x + i) : load_n(x + i, n - i, mean)) - splat(mean);
    squares = fma(d, d, squares);
  }
  return {mean, 1.0f / __builtin_sqrtf(sum(squares) / (float)n + kNormEpsilon)};
}

// hat (n) = (x - mean) / deviation; returns 1 / deviation. hat may be x.
inline float normalise(const float* x, float* hat, int64_t n) {
  const Statistics s = statistics(x, n);
  for (int64_t i = 0; i < n; i += kLanes)
    store_n(hat + i, (load_n(x + i, n - i) - splat(s.mean)) * splat(s.scale), n - i);
  return s.scale;
}

// hat (n) becomes the gradient of x under d, that of gain hat; d_gain += d hat.
inline void normalise_backward(const float* d, const float* gain, float scale, float* hat, float* d_gain, int64_t n) {
  vf plain = {}, along = {};
  for (int64_t i = 0; i < n; i += kLanes) {
    const vf dv = load_n(d + i, n - i), h = load_n(hat + i, n - i), scaled = dv * load_n(gain + i, n - i);
    plain = plain + scaled;
    along = fma(scaled, h, along);
    store_n(d_gain + i, fma(dv, h, load_n(d_gain + i, n - i)), n - i);
  }
  const vf mean = splat(sum(plain) / (float)n), slope = splat(sum(along) / (float)n);
  for (int64_t i = 0; i < n; i += kLanes) {
    const vf scaled = load_n(d + i, n - i) * load_n(gain + i, n - i);
    store_n(hat + i, splat(scale) * (scaled - fma(load_n(hat + i, n - i), slope, mean)), n - i);
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

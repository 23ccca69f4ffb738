// What gru_variant and lstm_variant share: the products of a step, masks and zones.
#pragma once
#include "recurrent.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kBlockRows =
    4 * kStepRows;  // that a panel of b serves before the next; what they make stays in cache

// out (rows, n) = (add ? out : 0) + a (rows, k) . b; a null: zeros.
inline void step_product(const float* a, int64_t a_row, int64_t k, const float* packed, bool add, float* out,
                         int64_t out_row, int64_t n, int64_t rows) {
  if (!a && add) return;
  if (a) return multiply_panels({a, a_row, k, nullptr, 0, 0}, packed, add, out, out_row, n, 0, rows, 0, panels_of(n));
  for (int64_t r = 0; r < rows; ++r) __builtin_memset(out + r * out_row, 0, n * sizeof(float));
}

// f(from, to) over the rows [first, last), a block at a time.
template <class F>
[[gnu::always_inline]] inline void for_blocks(int64_t first, int64_t last, F f) {
  for (; first < last; first += kBlockRows) f(first, min64(last, first + kBlockRows));
}

[[gnu::always_inline]] inline vf load_or_zero(const float* p, int64_t i, int64_t n) {
  return p ? load_n(p + i, n - i) : vf{};
}

[[gnu::always_inline]] inline const float* mask_row(const Mask& m, int64_t row) {
  return m.data ? m.data + row * m.row : nullptr;
}

// The part `mask` of before and the rest of now: exactly one of them where the mask is 1 or 0.
[[gnu::always_inline]] inline vf zone(vf mask, vf before, vf now) {
  return fma(mask, before, (splat(1.0f) - mask) * now);
}

// now (n) becomes zone(mask, before, now).
inline void zone_row(const float* mask, const float* before, float* now, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes)
    store_n(now + i, zone(load_n(mask + i, n - i), load_or_zero(before, i, n), load_n(now + i, n - i)), n - i);
}

// The gradient of h (n), dh + dy, becomes that of h before it was zoned; dh that of the step before, past the zone.
inline void unzone_row(const float* mask, const float* dy, float* dh, float* fresh, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const vf d = load_n(dh + i, n - i) + load_or_zero(dy, i, n), kept = load_or_zero(mask, i, n);
    store_n(fresh + i, (splat(1.0f) - kept) * d, n - i);
    store_n(dh + i, kept * d, n - i);
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

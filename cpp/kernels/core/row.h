// What softmax and cross_entropy do with one row: its largest element and the sum of its exponentials.
#pragma once
#include "math.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr float kInfinity = __builtin_inff();

// Floats added up in float32 before they join a float64 sum: at most 64 additions in a lane, whatever the row.
constexpr int64_t kSegment = 64 * kLanes;

// Rows to a task: about 2^14 floats, counted in vectors of 16.
inline int64_t rows_per_task(int64_t columns) { return max64(1, 1024 / max64(1, ceil_div(columns, 16))); }

// NaNs may be lost: x - row_max and its sum still have them.
inline float row_max(const float* x, int64_t n) {
  vf a = splat(-kInfinity), b = a, c = a, d = a;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a = max(a, load(x + i));
    b = max(b, load(x + i + kLanes));
    c = max(c, load(x + i + 2 * kLanes));
    d = max(d, load(x + i + 3 * kLanes));
  }
  for (; i < n; i += kLanes) a = max(a, load_n(x + i, n - i, -kInfinity));
  return max(max(max(a, b), max(c, d)));
}

// Sum of exp(x - shift); the terms are left in `out` (may be null).
inline double exp_sum(const float* x, int64_t n, float shift, float* out) {
  double total = 0;
  const vf s = splat(shift);
  for (int64_t i = 0; i < n;) {
    const int64_t last = min64(n, i + kSegment);
    vf a = {};
    for (; i + kLanes <= last; i += kLanes) {
      const vf e = exp(load(x + i) - s);
      if (out) store(out + i, e);
      a += e;
    }
    if (i < last) {
      const vf e = exp(load_n(x + i, last - i, -kInfinity) - s);
      if (out) store_n(out + i, e, last - i);
      a += e;
      i = last;
    }
    total += sum(a);
  }
  return total;
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

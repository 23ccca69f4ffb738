// What may come after a product, in place, on outputs that a task has just computed and that are in cache still:
// y = max(y + more, 0), to the bit what an addition and a ReLU would make of them.
#pragma once
#include "simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <bool add, bool relu>
[[gnu::always_inline]] inline vf finished(vf y, vf more) {
  if constexpr (add) y = y + more;
  if constexpr (relu) y = y < vf{} ? vf{} : y;  // NaN stays
  return y;
}

template <bool add, bool relu>
[[gnu::noinline]] void finish_run(float* y, const float* more, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, finished<add, relu>(load(y + i), add ? load(more + i) : vf{}));
  if (i < n) store_n(y + i, finished<add, relu>(load_n(y + i, n - i), add ? load_n(more + i, n - i) : vf{}), n - i);
}

// Rows of runs of n floats, `row` and `run` floats apart; more: null, or as y lies.
inline void finish(float* y, const float* more, bool relu, int64_t rows, int64_t row, int64_t runs, int64_t run,
                   int64_t n) {
  const auto each = !more ? finish_run<false, true> : relu ? finish_run<true, true> : finish_run<true, false>;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < runs; ++j) {
      const int64_t at = i * row + j * run;
      each(y + at, more ? more + at : nullptr, n);
    }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

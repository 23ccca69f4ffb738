// Stores past the caches, for outputs that are larger than these and would push out what is read next: a line that is
// written whole then need not be read from memory first.
#pragma once
#include "simd.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kPast = 8 << 20;  // floats: 32 MB, a share of the last-level cache on most machines

// Whether an array of `size` floats is stored so, from `out` on; the vectors to be stored begin whole vectors after it.
[[gnu::always_inline]] inline bool goes_past([[maybe_unused]] const float* out, [[maybe_unused]] int64_t size) {
#if defined(__x86_64__)
  return size >= kPast && reinterpret_cast<uintptr_t>(out) % sizeof(vf) == 0;
#else
  return false;
#endif
}

[[gnu::always_inline]] inline void store(float* p, vf v, [[maybe_unused]] bool past) {
#if defined(__AVX512F__)
  if (past) return _mm512_stream_ps(p, v);
#elif defined(__AVX2__)
  if (past) return _mm256_stream_ps(p, v);
#elif defined(__x86_64__)
  if (past) return _mm_stream_ps(p, v);
#endif
  store(p, v);
}

// After the last of these stores, before another thread may read them.
[[gnu::always_inline]] inline void finish_past([[maybe_unused]] bool past) {
#if defined(__x86_64__)
  if (past) _mm_sfence();
#endif
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

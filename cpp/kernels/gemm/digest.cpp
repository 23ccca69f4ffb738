// digest: a fingerprint of the bits of x (size). Each chunk of 64 Ki floats keeps one running product per lane,
//   h = (h xor bits) * odd constant,
// a bijection of h and of the bits: a change of one element always shows, and changes of many hide with a chance of
// 2^-32 for each of the lanes they touch.
#include "contract/gemm.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunk = 1 << 16;
constexpr int64_t kStreams = 8;  // independent products, to hide the latency of the multiplication
constexpr uint32_t kFactor = 0x9E3779B1, kStart = 0x85EBCA77;

int64_t tasks(const DigestArgs& a) { return ceil_div(a.size, kChunk); }
int64_t words(int64_t size) { return ceil_div(size, kChunk) * kStreams * kLanes; }

void run(const DigestArgs& a, int64_t begin, int64_t end, float*) {
  for (int64_t task = begin; task < end; ++task) {
    vu h[kStreams];
#pragma GCC unroll 8
    for (int64_t s = 0; s < kStreams; ++s) h[s] = vu{} + kStart;
    const int64_t stop = min64(a.size, (task + 1) * kChunk);
    int64_t i = task * kChunk;
    for (; i + kStreams * kLanes <= stop; i += kStreams * kLanes)
#pragma GCC unroll 8
      for (int64_t s = 0; s < kStreams; ++s) h[s] = (h[s] ^ (vu)load(a.x + i + s * kLanes)) * kFactor;
#pragma GCC unroll 8
    for (int64_t s = 0; s < kStreams; ++s) {
      h[s] = (h[s] ^ (vu)load_n(a.x + i + s * kLanes, max64(0, min64(kLanes, stop - i - s * kLanes)))) * kFactor;
      __builtin_memcpy(a.words + (task * kStreams + s) * kLanes, &h[s], sizeof h[s]);
    }
  }
}

}  // namespace

void add_digest(GemmKernels& k) {
  k.digest_words = words;
  k.digest = {{{tasks, nullptr, run}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

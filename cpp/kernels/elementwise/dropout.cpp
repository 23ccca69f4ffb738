// dropout: y = x / (1 - p) where a random 32-bit number is at least 2^32 p, else 0. The number is a hash of the key and
// the element's index in memory, so the mask is the same in any order, on any thread and ISA, and again in backward.
#include "contract/elementwise.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunk = 1 << 15;  // floats to a task; divides 2^32, so the high half of an index is one to a task

// The finaliser of MurmurHash3 (Appleby 2011, public domain): a bijection in which every input bit reaches every other.
[[gnu::always_inline]] inline vu mix(vu h) {
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  return h ^ (h >> 16);
}

void run(const Dropout& d, int64_t begin, int64_t end, float*) {
  vu lanes = {};
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = (uint32_t)i;
  const vf factor = splat(d.factor);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t first = task * kChunk, last = min64(d.size, first + kChunk);
    const uint32_t low = (uint32_t)d.key, high = (uint32_t)(d.key >> 32) + (uint32_t)(first >> 32) * 0x9e3779b9u;
    for (int64_t i = first; i < last; i += kLanes) {
      const vu random = mix(mix((lanes + (uint32_t)i) ^ low) + high);
      const vf x = load_n(d.x + i, last - i);
      store_n(d.y + i, random >= d.threshold ? x * factor : vf{}, last - i);
    }
  }
}

int64_t tasks(const Dropout& d) { return ceil_div(d.size, kChunk); }

}  // namespace

void add_dropout(ElementwiseKernels& k) { k.dropout = {{{tasks, nullptr, run}}}; }

}  // namespace FASTNN_ISA
}  // namespace fastnn

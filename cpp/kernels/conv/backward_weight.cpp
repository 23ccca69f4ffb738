// The chunks of backward_weight.h are added pairwise, a vector of output channels at a time, and land in dw (k, c /
// groups, kh, kw).
#include "backward_weight.h"

#include "core/transpose.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kAhead = 4;  // channels fetched ahead

int64_t channel_vectors(const Conv2d& g) { return g.groups * ceil_div(g.k / g.groups, kLanes); }

// Sum of n lanes of every chunk, `step` floats apart, in a tree: each round adds the upper half to the lower.
vf chunk_sum(const float* p, int64_t step, int64_t chunks, int64_t n) {
  if (chunks == 1) return load_n(p, n);
  vf part[kMaxChunks];
  for (int64_t i = 0; i < chunks; ++i) part[i] = load_n(p + i * step, n);
  for (int64_t left = chunks; left > 1; left = ceil_div(left, 2))
    for (int64_t i = 0; i + ceil_div(left, 2) < left; ++i) part[i] += part[i + ceil_div(left, 2)];
  return part[0];
}

void add_channels(const Conv2dBackwardWeight& a, int64_t copies, int64_t group, int64_t k0) {
  const Conv2d& g = a.g;
  const int64_t depth = g.c / g.groups, outputs = g.k / g.groups, taps = g.kh * g.kw, n = min64(kLanes, outputs - k0);
  const float* partial = a.partials + group * taps * depth * outputs + k0;
  float* dw = a.dw + (group * outputs + k0) * depth * taps;
  float rows[kLanes * kLanes];
  const int64_t copy = dw_floats(g);
  int64_t c = 0, tap = 0;
  for (int64_t i = 0; i < depth * taps; i += kLanes) {  // (c, ky, kx), as dw lies
    const int64_t count = min64(kLanes, depth * taps - i);
    for (int64_t j = 0; j < count; ++j) {
      const float* from = partial + (tap * depth + c) * outputs;
      __builtin_prefetch(from + kAhead * outputs);
      store(rows + j * kLanes, chunk_sum(from, copy, copies, n));
      if (++tap == taps) tap = 0, ++c;
    }
    scatter_lanes(rows, kLanes, count, n, dw + i, depth * taps);
  }
}

}  // namespace

int64_t add_chunks_tasks(const Conv2d& g, int64_t chunks) {
  return min64(channel_vectors(g), max64(1, dw_floats(g) * chunks >> 15));
}

void add_chunks(const Conv2dBackwardWeight& a, int64_t chunks, int64_t begin, int64_t end) {
  const int64_t vectors = channel_vectors(a.g), tasks = add_chunks_tasks(a.g, chunks), per_group = vectors / a.g.groups;
  for (int64_t v = vectors * begin / tasks; v < vectors * end / tasks; ++v)
    add_channels(a, chunks, v / per_group, v % per_group * kLanes);
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

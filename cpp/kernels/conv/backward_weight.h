// What the algorithms of conv2d_backward_weight share: dw (k, c / groups, kh, kw) = sum over images and pixels of x at
// the tap times dy. Images are cut into chunks and dw into parts, both from the shape only; a task is a part of a
// chunk. Each chunk sums its images in order into its own copy of dw, (ky, kx, c, k) in memory group by group, and the
// copies are added in a fixed tree.
#pragma once
#include "contract/conv.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kMaxChunks = 32;           // images are cut into at most this many chunks
constexpr int64_t kWantedTasks = 32;         // and dw into parts until there are so many tasks
constexpr int64_t kPartialFloats = 1 << 22;  // 16 MB for all copies of dw

inline int64_t dw_floats(const Conv2d& g) { return g.k * (g.c / g.groups) * g.kh * g.kw; }

// units: pieces of dw that are computed alone; a part is some of them.
struct Chunks {
  int64_t count, units, parts;

  int64_t tasks() const { return count * parts; }
};

// At most `worth` chunks.
inline Chunks chunks_of(const Conv2d& g, int64_t units, int64_t worth) {
  const int64_t fits = max64(1, kPartialFloats / max64(1, dw_floats(g)));
  const int64_t count = max64(1, min64(min64(min64(g.n, kMaxChunks), fits), worth));
  return {count, units, min64(units, ceil_div(kWantedTasks, count))};
}

// Images first .. last of a chunk, and where its sums go.
struct Chunk {
  int64_t first, last;
  float* partial;
};
inline Chunk chunk_at(const Conv2dBackwardWeight& a, const Chunks& chunks, int64_t i) {
  return {a.g.n * i / chunks.count, a.g.n * (i + 1) / chunks.count, a.partials + i * dw_floats(a.g)};
}

// run(chunk, first unit, last unit) for the tasks. Those of a chunk that a thread has go together: they share copies of
// its images.
template <class Run>
[[gnu::always_inline]] inline void each_chunk(const Conv2dBackwardWeight& a, const Chunks& chunks, int64_t begin,
                                              int64_t end, const Run& run) {
  while (begin < end) {
    const int64_t part = begin % chunks.parts, last = min64(chunks.parts, part + end - begin);
    run(chunk_at(a, chunks, begin / chunks.parts), chunks.units * part / chunks.parts,
        chunks.units * last / chunks.parts);
    begin += last - part;
  }
}

}  // namespace

// The chunks are added, and land in dw.
int64_t add_chunks_tasks(const Conv2d& g, int64_t chunks);
void add_chunks(const Conv2dBackwardWeight& a, int64_t chunks, int64_t begin, int64_t end);

}  // namespace FASTNN_ISA
}  // namespace fastnn

// conv2d_backward_weight where the output channels would fill less than half a vector: dw (k, c, kh, kw) = sum over
// images and pixels of x at the tap times dy, with pixels as the lanes (planes.h) and a sum for every lane.
// Tasks are those of backward_weight.h. x is copied to planes with its padding, dy (n, oh, ow, k) to planes whose rows
// are whole vectors.
#include "algorithms.h"
#include "backward_weight.h"
#include "geometry.h"
#include "planes.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Rows of dw in a tile with r output channels: as many as vectors of pixels in planar.cpp, where with_rows knows them.
constexpr int tile_rows(int r) { return planar_vectors(r) < kMaxRows ? planar_vectors(r) : kMaxRows; }

Window source_window(const Conv2d& g) {
  return {-g.pad_top, -g.pad_left, g.oh + (g.kh - 1) * g.dilation_h, g.ow + (g.kw - 1) * g.dilation_w};
}
Window gradient_window(const Conv2d& g) { return {0, 0, g.oh, ceil_div(g.ow, kLanes) * kLanes}; }

// T rows of dw for an image, from the planes at taps[i], times all R output channels: dw (T, R) += or = the sums.
// Beyond the end of a row the pixels count as zero on both sides: 0 * inf must not appear.
template <int R, int T>
[[gnu::noinline]] void weight_tile(const Conv2d& g, const float* const* taps, int64_t pitch, const float* dy,
                                   const Planes& planes, bool first, float* dw) {
  vf acc[T * R] = {};
  const int64_t whole = g.ow / kLanes * kLanes, tail = g.ow - whole;
  const float* x[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) x[t] = taps[t];
  const auto add = [&](int64_t j, int64_t n) __attribute__((always_inline)) {
    vf d[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      d[r] = load(dy + r * planes.plane + j);
      keep(d[r]);
    }
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      vf pixels = load_n(x[t] + j, n);
      keep(pixels);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) acc[t * R + r] = fma(pixels, d[r], acc[t * R + r]);
    }
  };
  for (int64_t oy = 0; oy < g.oh; ++oy, dy += planes.pitch) {
    for (int64_t j = 0; j < whole; j += kLanes) add(j, kLanes);
    if (tail) add(whole, tail);
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) x[t] += pitch;
  }
  float sums[kSums<T * R>];
  sum_all_lanes(acc, sums);
  for (int i = 0; i < T * R; ++i) dw[i] = first ? sums[i] : dw[i] + sums[i];
}

// Units of dw: tiles of its rows, in the order (ky, kx, c).
Chunks chunks(const Conv2d& g) {
  const int64_t units = g.k == 0 ? 0 : ceil_div(g.c * g.kh * g.kw, tile_rows(static_cast<int>(g.k)));
  return chunks_of(g, units, kMaxChunks);
}

// Image n: units `begin` to `end`; first: the image starts the sums.
void sum_image(const Conv2dBackwardWeight& a, int64_t n, bool first, int64_t begin, int64_t end, float* partial,
               float* scratch) {
  const Conv2d& g = a.g;
  const Window source = source_window(g), gradient = gradient_window(g);
  const Planes from = planes_of(source), planes = planes_of(gradient);
  float* dy = scratch + g.c * from.plane;
  copy_planes(a.x + n * g.h * g.w * g.c, g.h, g.w, g.c, g.x_nchw, source, scratch);
  copy_planes(a.dy + n * g.oh * g.ow * g.k, g.oh, g.ow, g.k, false, gradient, dy);
  const int64_t rows = g.c * g.kh * g.kw, units = chunks(g).units;
  with_rows(g.k, [&](auto outputs) {
    constexpr int R = decltype(outputs)::value;
    if constexpr (R <= kMaxPlanes) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t row = rows * unit / units;  // (ky, kx, c)
        const float* taps[kMaxVectors];
        int64_t count = 0;
        for (int64_t i = row; i < rows * (unit + 1) / units; ++i)
          taps[count++] = scratch + i % g.c * from.plane + i / g.c / g.kw * g.dilation_h * from.pitch +
                          i / g.c % g.kw * g.dilation_w;
        with_rows(count, [&](auto height) {
          constexpr int T = decltype(height)::value;
          if constexpr (T <= tile_rows(R)) weight_tile<R, T>(g, taps, from.pitch, dy, planes, first, partial + row * R);
        });
      }
    }
  });
}

int64_t sum_tasks(const Conv2dBackwardWeight& a) { return chunks(a.g).tasks(); }

int64_t sum_scratch(const Conv2dBackwardWeight& a) {
  const Conv2d& g = a.g;
  return g.c * planes_of(source_window(g)).plane + g.k * planes_of(gradient_window(g)).plane;
}

void sum(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float* scratch) {
  each_chunk(a, chunks(a.g), begin, end, [&](const Chunk& chunk, int64_t first, int64_t last) {
    if (a.g.n == 0) __builtin_memset(chunk.partial, 0, dw_floats(a.g) * sizeof(float));
    for (int64_t n = chunk.first; n < chunk.last; ++n)
      sum_image(a, n, n == chunk.first, first, last, chunk.partial, scratch);
  });
}

int64_t add_tasks(const Conv2dBackwardWeight& a) { return add_chunks_tasks(a.g, chunks(a.g).count); }
void add(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float*) {
  add_chunks(a, chunks(a.g).count, begin, end);
}

int64_t workspace(const Conv2dBackwardWeight& a) { return chunks(a.g).count * dw_floats(a.g); }

}  // namespace

const Kernel<Conv2dBackwardWeight> planar_backward_weight = {
    {{sum_tasks, sum_scratch, sum}, {add_tasks, nullptr, add}}, workspace, &Conv2dBackwardWeight::partials};

}  // namespace FASTNN_ISA
}  // namespace fastnn

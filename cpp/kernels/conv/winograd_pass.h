// What the passes of Winograd's algorithm (winograd.cpp) work on, and the plain sums of those tiles and filters
// that are too_large (winograd.h). They add up in the order of direct.cpp: the bits are
// those of the direct algorithm.
#pragma once
#include "core/finish.h"
#include "core/tile.h"
#include "core/transpose.h"
#include "core/window.h"
#include "winograd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kGroup = 64;  // output channels of a task

// Points of a tile of side x side outputs.
inline int64_t points_of(int64_t side) { return (side + 2) * (side + 2); }

inline int64_t width_of(int64_t outputs) { return outputs <= kLanes ? kLanes : 2 * kLanes; }
inline int64_t panels_of(int64_t outputs) { return ceil_div(outputs, width_of(outputs)); }
inline int64_t point_floats(int64_t depth, int64_t outputs) { return depth * width_of(outputs) + kPlaneGap; }

struct Place {
  int64_t image, y, x;  // of a tile's first output
};

struct Pass {
  int64_t side;            // of a tile, in outputs
  int64_t n, h, w, depth;  // source images (n, h, w, depth)
  bool nchw;
  int64_t top, left;  // source pixel that the first tap of output (0, 0) sees
  int64_t oh, ow, outputs;
  const float *source, *packed, *bias;
  float* out;             // (n, oh, ow, outputs)
  const float* residual;  // null: none
  bool relu;

  int64_t points() const { return points_of(side); }
  int64_t tiles_w() const { return ceil_div(ow, side); }
  int64_t image_tiles() const { return ceil_div(oh, side) * tiles_w(); }
  int64_t tiles() const { return n * image_tiles(); }
  int64_t groups() const { return ceil_div(outputs, kGroup); }

  Place place(int64_t tile) const {
    const int64_t in_image = tile % image_tiles();
    return {tile / image_tiles(), in_image / tiles_w() * side, in_image % tiles_w() * side};
  }
  const float* image(const Place& at) const { return source + at.image * h * w * depth; }
  float* output(const Place& at) const { return out + ((at.image * oh + at.y) * ow + at.x) * outputs; }
};

struct Filters {
  int64_t side;         // of a tile, in outputs
  const float* weight;  // 3x3 taps of output o and source channel d at weight + o * output_step + d * depth_step
  int64_t outputs, output_step, depth, depth_step;
  bool turned;  // by 180 degrees

  int64_t batch() const { return depth_step == 9 ? kLanes : 1; }  // source channels whose taps are neighbours
};

// Taps of `count` source channels from d for a vector of outputs from o: (count, 9, kLanes).
inline void gather_taps(const Filters& f, int64_t o, int64_t d, int64_t count, float* taps) {
  const int64_t lanes = max64(0, min64(kLanes, f.outputs - o));
  gather_lanes(f.weight + o * f.output_step + d * f.depth_step, f.output_step, 9 * count, lanes, taps, kLanes);
}

// Where packed filters tell which of a vector of outputs from o are too_large: in the gaps between planes.
inline int64_t large_index(int64_t o, int64_t side, int64_t depth, int64_t outputs) {
  const int64_t width = width_of(outputs), plane = point_floats(depth, outputs);
  return (o / width * points_of(side) + o % width / kLanes + 1) * plane - kPlaneGap;
}

// The outputs of a tile for a vector of n channels, those lanes that `chosen` has; patch: the pixels that the tile
// sees.
template <int O>
[[gnu::noinline]] void plain_tile(const Pass& p, const Place& at, const float* patch, const float* taps, bool turned,
                                  vf bias, vi chosen, int64_t n, float* out) {
  const int64_t row = (O + 2) * p.depth, cols = min64(O, p.ow - at.x);
  for (int64_t i = 0; i < min64(O, p.oh - at.y); ++i, out += p.ow * p.outputs) {
    vf acc[O][1];
    for (int j = 0; j < O; ++j) acc[j][0] = bias;
    const int64_t y = at.y + i + p.top;  // rows beyond the image are left out, columns are zeros
    for (int64_t ty = max64(0, -y); ty < min64(3, p.h - y); ++ty)
      for (int64_t tx = 0; tx < 3; ++tx)
        multiply_add(acc, patch + (i + ty) * row + tx * p.depth, p.depth, 1,
                     taps + (turned ? 8 - 3 * ty - tx : 3 * ty + tx) * kLanes, 9 * kLanes, p.depth);
#pragma GCC unroll 4
    for (int j = 0; j < O; ++j) {
      if (j >= cols) break;
      float* to = out + j * p.outputs;
      store_n(to, chosen ? acc[j][0] : load_n(to, n), n);
    }
  }
}

// Writes the outputs [first_output, last_output) of tiles [first, last) again, all where plain[tile] is not 0, else
// those of filters that are too_large. taps: 9 * depth * kLanes floats.
inline void plain_block(const Pass& p, const Filters& f, int64_t first, int64_t last, int64_t first_output,
                        int64_t last_output, const float* plain, float* taps, float* patch) {
  const auto sum = p.side == 4 ? plain_tile<4> : plain_tile<2>;
  for (int64_t o = first_output; o < last_output; o += kLanes) {
    const int64_t n = min64(kLanes, last_output - o), pixels = p.side + 2;
    const vi large = bits(load(p.packed + large_index(o, f.side, f.depth, f.outputs)));
    const bool some = any(large);
    bool gathered = false;
    for (int64_t tile = first; tile < last; ++tile) {
      const bool all = plain[tile - first] != 0;
      if (!all && !some) continue;
      for (int64_t d = 0; !gathered && d < f.depth; d += f.batch())
        gather_taps(f, o, d, min64(f.batch(), f.depth - d), taps + 9 * d * kLanes);
      gathered = true;
      const Place at = p.place(tile);
      copy_window(p.image(at), p.h, p.w, p.depth, p.nchw, {at.y + p.top, at.x + p.left, pixels, pixels}, patch);
      sum(p, at, patch, taps, f.turned, p.bias ? load_n(p.bias + o, n) : vf{}, all ? splat_int(-1) : large, n,
          p.output(at) + o);
    }
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// conv2d forward and backward_input with 3x3 filters by Winograd's F(4x4, 3x3): 36 products for 16 outputs of a channel
// instead of 144, or F(2x2, 3x3): 16 for 4 instead of 36. For tiles of 4x4 (2x2) outputs, which see 6x6 (4x4) pixels:
//   v[point][tile][d]  = B^T pixels B            of every source channel d
//   u[point][d][o]     = G filter G^T            packed once per weights
//   m[point][tile][o]  = sum over d of v * u     a matrix product per point
//   out                = A^T m A + bias
// backward_input is the same with dy for x and the filters turned by 180 degrees, inputs and outputs exchanged.
// Tasks are blocks of tiles (over all images) times groups of output channels. An output depends on its own tile alone:
// where a tile or a filter is too_large (winograd.h), it is summed plainly (winograd_pass.h).
#include "winograd.h"
#include "algorithms.h"
#include "core/tile.h"
#include "core/window.h"
#include "winograd_pass.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kBlockFloats = 96 << 10;  // of v: 384 KB, less than half of L2
constexpr int64_t kMinTiles = 24;           // of a block: u is read once per block
constexpr int64_t kMaxTiles = 84;

// Blocks of tiles: few enough to share u, small enough for the cache, and a number that threads can share equally.
int64_t block_count(const Pass& p) {
  const int64_t fits = max64(kMinTiles, min64(kMaxTiles, kBlockFloats / (p.points() * p.depth)));
  const int64_t blocks = ceil_div(p.tiles(), fits), groups = p.groups();
  for (int64_t share = 8; share > 1; share /= 2) {
    int64_t more = blocks;
    while (more * groups % share) ++more;
    if (p.tiles() / more >= kMinTiles) return more;
  }
  return blocks;
}

int64_t pass_tasks(const Pass& p) { return p.outputs == 0 ? 0 : block_count(p) * p.groups(); }
int64_t pass_tiles(const Pass& p) { return ceil_div(p.tiles(), max64(1, block_count(p))); }
int64_t v_plane(const Pass& p) { return pass_tiles(p) * padded(p.depth) + kPlaneGap; }
int64_t m_plane(const Pass& p) { return pass_tiles(p) * kGroup + kPlaneGap; }
// m, and the taps of plain sums after it.
int64_t m_floats(const Pass& p) { return max64(p.points() * m_plane(p), 9 * p.depth * kLanes); }
int64_t pass_scratch(const Pass& p) { return p.points() * (v_plane(p) + p.depth) + m_floats(p) + pass_tiles(p); }

// plain[tile]: 1 where the tile is too_large, else 0.
void input_block(const Pass& p, int64_t first, int64_t last, float* v, float* plain, float* patch) {
  const int64_t plane = v_plane(p), pitch = padded(p.depth), pixels = p.side + 2;
  const auto transform = p.side == 4 ? input_tile<6> : input_tile<4>;
  for (int64_t tile = first; tile < last; ++tile, v += pitch) {
    const Place at = p.place(tile);
    const int64_t y = at.y + p.top, x = at.x + p.left;
    const bool inside = y >= 0 && x >= 0 && y + pixels <= p.h && x + pixels <= p.w;
    bool large;
    if (inside && !p.nchw) {
      large = transform(p.image(at) + (y * p.w + x) * p.depth, p.w * p.depth, p.depth, p.depth, v, plane);
    } else {
      copy_window(p.image(at), p.h, p.w, p.depth, p.nchw, {y, x, pixels, pixels}, patch);
      large = transform(patch, pixels * p.depth, p.depth, p.depth, v, plane);
    }
    plain[tile - first] = large ? 1.0f : 0.0f;
  }
}

template <int R, int V>
[[gnu::noinline]] void product_tile(const float* v, int64_t v_row, const float* u, int64_t width, int64_t depth,
                                    float* m) {
  vf acc[R][V];
  start_tile(acc, nullptr);
  multiply_add(acc, v, v_row, 1, u, width, depth);
  store_tile(acc, m, kGroup, V * kLanes);
}

// m of a block and a group of outputs [first, last).
void products(const Pass& p, int64_t tiles, int64_t first, int64_t last, const float* v, float* m) {
  const int64_t width = width_of(p.outputs), panel_floats = p.points() * point_floats(p.depth, p.outputs);
  const int64_t rows = tile_count(tiles), pitch = padded(p.depth);
  for (int64_t point = 0; point < p.points(); ++point, v += v_plane(p), m += m_plane(p)) {
    for (int64_t o = first; o < last; o += width) {
      const float* u = p.packed + o / width * panel_floats + point * point_floats(p.depth, p.outputs);
      for (int64_t t = 0; t < rows; ++t) {
        const int64_t row = tile_row(tiles, rows, t);
        with_rows(tile_row(tiles, rows, t + 1) - row, [&](auto height) {
          constexpr int R = decltype(height)::value;
          float* to = m + row * kGroup + o - first;
          if (last - o <= kLanes)
            product_tile<R, 1>(v + row * pitch, pitch, u, width, p.depth, to);
          else
            product_tile<R, 2>(v + row * pitch, pitch, u, width, p.depth, to);
        });
      }
    }
  }
}

// rows x cols outputs (at most O x O) of n channels.
template <int O>
[[gnu::noinline]] void output_tile(const float* m, int64_t plane, vf bias, int64_t n, float* out, int64_t out_row,
                                   int64_t out_pixel, int64_t rows, int64_t cols) {
  constexpr int S = O + 2;
  vf t[O][S];
#pragma GCC unroll 6
  for (int j = 0; j < S; ++j) {
    vf column[S], result[O];
#pragma GCC unroll 6
    for (int i = 0; i < S; ++i) column[i] = load(m + (i * S + j) * plane);
    outputs(column, result);
#pragma GCC unroll 4
    for (int i = 0; i < O; ++i) t[i][j] = result[i];
  }
#pragma GCC unroll 4
  for (int i = 0; i < O; ++i) {
    vf result[O];
    outputs(t[i], result);
    if (i >= rows) break;
#pragma GCC unroll 4
    for (int j = 0; j < O; ++j)
      if (j < cols) store_n(out + i * out_row + j * out_pixel, result[j] + bias, n);
  }
}

void output_block(const Pass& p, int64_t first, int64_t last, int64_t first_output, int64_t last_output,
                  const float* m) {
  const int64_t plane = m_plane(p);
  const auto transform = p.side == 4 ? output_tile<4> : output_tile<2>;
  for (int64_t tile = first; tile < last; ++tile, m += kGroup) {
    const Place at = p.place(tile);
    float* out = p.output(at);
    for (int64_t o = first_output; o < last_output; o += kLanes) {
      const int64_t n = min64(kLanes, last_output - o);
      transform(m + o - first_output, plane, p.bias ? load_n(p.bias + o, n) : vf{}, n, out + o, p.ow * p.outputs,
                p.outputs, min64(p.side, p.oh - at.y), min64(p.side, p.ow - at.x));
    }
  }
}

// What comes after the sums.
void finish_block(const Pass& p, int64_t first, int64_t last, int64_t first_output, int64_t last_output) {
  for (int64_t tile = first; tile < last; ++tile) {
    const Place at = p.place(tile);
    float* out = p.output(at) + first_output;
    finish(out, p.residual ? p.residual + (out - p.out) : nullptr, p.relu, min64(p.side, p.oh - at.y), p.ow * p.outputs,
           min64(p.side, p.ow - at.x), p.outputs, last_output - first_output);
  }
}

void run_pass(const Pass& p, const Filters& f, int64_t begin, int64_t end, float* scratch) {
  const int64_t blocks = block_count(p), groups = p.groups();
  float *v = scratch, *m = v + p.points() * v_plane(p), *patch = m + m_floats(p), *plain = patch + p.points() * p.depth;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t block = task / groups, group = task % groups;
    const int64_t first = p.tiles() * block / blocks, last = p.tiles() * (block + 1) / blocks;
    const int64_t first_output = group * kGroup, last_output = min64(p.outputs, first_output + kGroup);
    if (task == begin || group == 0) input_block(p, first, last, v, plain, patch);
    products(p, last - first, first_output, last_output, v, m);
    output_block(p, first, last, first_output, last_output, m);
    plain_block(p, f, first, last, first_output, last_output, plain, m, patch);
    if (p.relu || p.residual) finish_block(p, first, last, first_output, last_output);
  }
}

// u of one source channel for a vector of outputs, from taps (9, kLanes). Returns which outputs are too_large.
template <int S>
[[gnu::noinline]] vi transform_filter(const float* taps, bool turned, float* u, int64_t plane) {
  vf t[S][3], squares = {};
#pragma GCC unroll 3
  for (int j = 0; j < 3; ++j) {
    vf column[3], result[S];
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) {
      column[i] = load(taps + (turned ? 8 - 3 * i - j : 3 * i + j) * kLanes);
      squares = fma(column[i], column[i], squares);
    }
    filter(column, result);
#pragma GCC unroll 6
    for (int i = 0; i < S; ++i) t[i][j] = result[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < S; ++i) {
    vf result[S];
    filter(t[i], result);
#pragma GCC unroll 6
    for (int j = 0; j < S; ++j) store(u + (i * S + j) * plane, result[j]);
  }
  return too_large(squares);
}

// u [panel][point][d][width] of the panels [begin, end), and in the gaps which outputs are too_large.
void pack_panels(const Filters& f, int64_t begin, int64_t end, float* packed) {
  const int64_t width = width_of(f.outputs), plane = point_floats(f.depth, f.outputs);
  const auto transform = f.side == 4 ? transform_filter<6> : transform_filter<4>;
  float taps[9 * kLanes * kLanes];
  for (int64_t o = begin * width; o < end * width; o += kLanes) {
    float* panel = packed + o / width * points_of(f.side) * plane + o % width;
    vi large = {};
    for (int64_t d = 0; d < f.depth; d += f.batch()) {
      const int64_t count = min64(f.batch(), f.depth - d);
      gather_taps(f, o, d, count, taps);
      for (int64_t i = 0; i < count; ++i)
        large |= transform(taps + 9 * i * kLanes, f.turned, panel + (d + i) * width, plane);
    }
    store(packed + large_index(o, f.side, f.depth, f.outputs), from_bits(large));
  }
}

int64_t packed_floats(int64_t side, int64_t depth, int64_t outputs) {
  return panels_of(outputs) * points_of(side) * point_floats(depth, outputs);
}

Pass pass_of(const Conv2dForward& a, int64_t side) {
  const Conv2d& g = a.g;
  return {side, g.n, g.h, g.w,      g.c,    g.x_nchw, -g.pad_top, -g.pad_left, g.oh,
          g.ow, g.k, a.x, a.packed, a.bias, a.y,      a.residual, a.relu};
}
Pass pass_of(const Conv2dBackwardInput& a, int64_t side) {
  const Conv2d& g = a.g;
  return {side, g.n, g.oh, g.ow,     g.k,     false, g.pad_top - 2, g.pad_left - 2, g.h,
          g.w,  g.c, a.dy, a.packed, nullptr, a.dx,  nullptr,       false};
}

Filters filters_of(const Conv2dForward& a, int64_t side) { return {side, a.weight, a.g.k, a.g.c * 9, a.g.c, 9, false}; }
Filters filters_of(const Conv2dBackwardInput& a, int64_t side) {
  return {side, a.weight, a.g.c, 9, a.g.k, a.g.c * 9, true};
}

// Either direction, with tiles of side x side outputs.
template <class Args, int side>
constexpr Packing<Args> packing_of() {
  return {[](const Args& a) {
            const Filters f = filters_of(a, side);
            return packed_floats(side, f.depth, f.outputs);
          },
          [](const Args& a) { return panels_of(filters_of(a, side).outputs); },
          [](const Args& a, int64_t begin, int64_t end, float* packed) {
            pack_panels(filters_of(a, side), begin, end, packed);
          }};
}
template <class Args, int side>
constexpr Kernel<Args> kernel_of() {
  return {{{[](const Args& a) { return pass_tasks(pass_of(a, side)); },
            [](const Args& a) { return pass_scratch(pass_of(a, side)); },
            [](const Args& a, int64_t begin, int64_t end, float* scratch) {
              run_pass(pass_of(a, side), filters_of(a, side), begin, end, scratch);
            }}}};
}

}  // namespace

const Packing<Conv2dForward> winograd2_forward_pack = packing_of<Conv2dForward, 2>();
const Packing<Conv2dForward> winograd4_forward_pack = packing_of<Conv2dForward, 4>();
const Kernel<Conv2dForward> winograd2_forward = kernel_of<Conv2dForward, 2>();
const Kernel<Conv2dForward> winograd4_forward = kernel_of<Conv2dForward, 4>();
const Packing<Conv2dBackwardInput> winograd2_backward_input_pack = packing_of<Conv2dBackwardInput, 2>();
const Packing<Conv2dBackwardInput> winograd4_backward_input_pack = packing_of<Conv2dBackwardInput, 4>();
const Kernel<Conv2dBackwardInput> winograd2_backward_input = kernel_of<Conv2dBackwardInput, 2>();
const Kernel<Conv2dBackwardInput> winograd4_backward_input = kernel_of<Conv2dBackwardInput, 4>();

}  // namespace FASTNN_ISA
}  // namespace fastnn

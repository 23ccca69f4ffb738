// conv2d_backward_weight with 3x3 filters by Winograd's F(3x3, 4x4): a tile of 4x4 gradients is the filter that, moved
// over the 6x6 pixels it came from, gives the 3x3 taps of dw.
//   vx[point][tile][c] = B^T pixels B,  vy[point][tile][k] = G gradients G^T
//   du[point][c][k]    = sum over tiles of vx * vy      36 matrix products instead of 144 multiplications per tile
//   dw                 = A^T du A
// Tasks are chunks of tiles (over all images) times parts of c. Each chunk sums its tiles in order into its own copy of
// du; the copies are added in a fixed tree on the way to dw. Tiles that are too_large (winograd.h)
// are left out of these sums and listed: plain sums over them are added last, tile by tile.
#include "algorithms.h"
#include "core/tile.h"
#include "core/transpose.h"
#include "core/window.h"
#include "winograd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kPartFloats = 320 << 10;   // of du in a task: 1.25 MB
constexpr int64_t kBlockFloats = 192 << 10;  // of vx and vy: 768 KB
constexpr int64_t kPartialFloats = 4 << 20;  // of all copies of du: 16 MB
constexpr int64_t kMinPart = 32;             // channels
constexpr int64_t kChunkTiles = 48;          // at least, to pay for a copy of du
constexpr int64_t kWantedTasks = 8;
constexpr int64_t kMaxChunks = 8;

struct Plan {
  int64_t tiles_w, image_tiles, tiles;
  int64_t k_pitch, part, parts, chunks, block;  // part: channels of c in a task; block: tiles transformed at a time
};

int64_t du_plane(const Conv2d& g) { return g.c * padded(g.k) + kPlaneGap; }

Plan plan_of(const Conv2d& g) {
  Plan p{};
  p.tiles_w = ceil_div(g.ow, kTileOutputs);
  p.image_tiles = p.tiles_w * ceil_div(g.oh, kTileOutputs);
  p.tiles = g.n * p.image_tiles;
  p.k_pitch = padded(g.k);
  const int64_t fits = kPartFloats / (kPoints * p.k_pitch) / kMinPart * kMinPart;
  p.parts = ceil_div(g.c, max64(kMinPart, fits));
  p.part = padded(ceil_div(g.c, p.parts));
  p.parts = ceil_div(g.c, p.part);
  const int64_t copies = max64(1, kPartialFloats / (kPoints * du_plane(g)));
  p.chunks = max64(1, min64(min64(ceil_div(kWantedTasks, p.parts), p.tiles / kChunkTiles), min64(copies, kMaxChunks)));
  const int64_t chunk = ceil_div(p.tiles, p.chunks);
  const int64_t most = max64(kChunkTiles / 2, kBlockFloats / (kPoints * (p.part + p.k_pitch)));
  p.block = max64(1, ceil_div(chunk, max64(1, ceil_div(chunk, most))));
  return p;
}

int64_t x_plane(const Plan& p) { return p.block * p.part + kPlaneGap; }
int64_t y_plane(const Plan& p) { return p.block * p.k_pitch + kPlaneGap; }

// The list of a task: how many tiles are summed plainly, then which. It follows the copies of du.
int64_t list_entries(const Plan& p) { return 1 + ceil_div(p.tiles, p.chunks); }
int64_t* list_of(const Conv2dBackwardWeight& a, const Plan& p, int64_t chunk, int64_t part) {
  float* lists = a.partials + p.chunks * kPoints * du_plane(a.g);
  return reinterpret_cast<int64_t*>(lists) + (part * p.chunks + chunk) * list_entries(p);
}

struct Tile {
  int64_t image, y, x;  // of the first output
};

Tile tile_at(const Plan& p, int64_t tile) {
  const int64_t in_image = tile % p.image_tiles;
  return {tile / p.image_tiles, in_image / p.tiles_w * kTileOutputs, in_image % p.tiles_w * kTileOutputs};
}

// A tile's row of all points: it adds nothing.
void clear_row(float* v, int64_t plane, int64_t n) {
  for (int64_t point = 0; point < kPoints; ++point) __builtin_memset(v + point * plane, 0, n * sizeof(float));
}

// large[tile]: 1 where dy is too_large. Such tiles, and those where x is, are cleared and listed.
void transform_x(const Conv2dBackwardWeight& a, const Plan& p, int64_t first, int64_t last, int64_t c0, float* v,
                 const float* large, int64_t* list, float* patch) {
  const Conv2d& g = a.g;
  const int64_t channels = min64(p.part, g.c - c0);
  for (int64_t t = first; t < last; ++t, v += p.part) {
    const Tile tile = tile_at(p, t);
    const int64_t y = tile.y - g.pad_top, x = tile.x - g.pad_left;
    const float* image = a.x + tile.image * g.h * g.w * g.c;
    bool plain;
    if (!g.x_nchw && y >= 0 && x >= 0 && y + kTilePixels <= g.h && x + kTilePixels <= g.w) {
      plain = input_tile<kTilePixels>(image + (y * g.w + x) * g.c + c0, g.w * g.c, g.c, channels, v, x_plane(p));
    } else {
      copy_window(image, g.h, g.w, g.c, g.x_nchw, {y, x, kTilePixels, kTilePixels}, patch);
      plain = input_tile<kTilePixels>(patch + c0, kTilePixels * g.c, g.c, channels, v, x_plane(p));
    }
    if (!plain && large[t - first] == 0) continue;
    clear_row(v, x_plane(p), p.part);
    list[++list[0]] = t;
  }
}

void transform_dy(const Conv2dBackwardWeight& a, const Plan& p, int64_t first, int64_t last, float* v, float* large,
                  float* patch) {
  const Conv2d& g = a.g;
  for (int64_t t = first; t < last; ++t, v += p.k_pitch) {
    const Tile tile = tile_at(p, t);
    const float* image = a.dy + tile.image * g.oh * g.ow * g.k;
    bool plain;
    if (tile.y + kTileOutputs <= g.oh && tile.x + kTileOutputs <= g.ow) {
      plain = gradient_tile(image + (tile.y * g.ow + tile.x) * g.k, g.ow * g.k, g.k, g.k, v, y_plane(p));
    } else {
      copy_window(image, g.oh, g.ow, g.k, false, {tile.y, tile.x, kTileOutputs, kTileOutputs}, patch);
      plain = gradient_tile(patch, kTileOutputs * g.k, g.k, g.k, v, y_plane(p));
    }
    large[t - first] = plain ? 1.0f : 0.0f;
    if (plain) clear_row(v, y_plane(p), p.k_pitch);
  }
}

// R channels of c times V vectors of k, over the tiles of a block.
template <int R, int V>
[[gnu::noinline]] void product_tile(const float* vx, int64_t x_row, const float* vy, int64_t y_row, int64_t tiles,
                                    bool fresh, float* du) {
  vf acc[R][V];
  if (fresh)
    start_tile(acc, nullptr);
  else
    load_tile(acc, du, y_row, V * kLanes);
  multiply_add(acc, vx, 1, x_row, vy, y_row, tiles);
  store_tile(acc, du, y_row, V * kLanes);
}

void products(const Conv2d& g, const Plan& p, int64_t tiles, int64_t c0, const float* vx, const float* vy, bool fresh,
              float* du) {
  const int64_t channels = min64(p.part, g.c - c0), rows = tile_count(channels);
  for (int64_t point = 0; point < kPoints; ++point, vx += x_plane(p), vy += y_plane(p), du += du_plane(g)) {
    for (int64_t t = 0; t < rows; ++t) {
      const int64_t c = tile_row(channels, rows, t);
      for (int64_t k = 0; k < p.k_pitch; k += 2 * kLanes) {
        with_rows(tile_row(channels, rows, t + 1) - c, [&](auto height) {
          constexpr int R = decltype(height)::value;
          float* to = du + (c0 + c) * p.k_pitch + k;
          if (p.k_pitch - k <= kLanes)
            product_tile<R, 1>(vx + c, p.part, vy + k, p.k_pitch, tiles, fresh, to);
          else
            product_tile<R, 2>(vx + c, p.part, vy + k, p.k_pitch, tiles, fresh, to);
        });
      }
    }
  }
}

constexpr int64_t kAhead =
    4;  // channels that the sum of copies fetches ahead: no stream of du is long enough to be guessed

// One vector of du, of all its copies.
[[gnu::always_inline]] inline vf sum_copies(const float* du, int64_t copy, int64_t copies) {
  vf part[kMaxChunks] = {load(du)};
  for (int64_t s = 1; s < copies; ++s) part[s] = load(du + s * copy);
  for (int64_t left = copies; left > 1; left = ceil_div(left, 2))
    for (int64_t s = 0; s + ceil_div(left, 2) < left; ++s) part[s] += part[s + ceil_div(left, 2)];
  return part[0];
}

// 3x3 taps (9, kLanes) of one c and a vector of output channels, out of the copies of du.
[[gnu::noinline]] void taps_of(const float* du, int64_t plane, int64_t ahead, int64_t copy, int64_t copies,
                               float* taps) {
  vf t[3][6];
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    vf column[6], result[3];
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
      const float* from = du + (i * 6 + j) * plane;
      for (int64_t s = 0; s < copies; ++s) __builtin_prefetch(from + s * copy + ahead);
      column[i] = copies == 1 ? load(from) : sum_copies(from, copy, copies);
    }
    outputs(column, result);
#pragma GCC unroll 3
    for (int i = 0; i < 3; ++i) t[i][j] = result[i];
  }
#pragma GCC unroll 3
  for (int i = 0; i < 3; ++i) {
    vf result[3];
    outputs(t[i], result);
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) store(taps + (i * 3 + j) * kLanes, result[j]);
  }
}

// taps (R, 9, kLanes) += for R channels the sums over rows x cols pixels of x (kTilePixels, kTilePixels, kLanes) at the
// tap times dy (kTileOutputs, kTileOutputs, kLanes).
template <int R>
[[gnu::noinline]] void add_products(const float* x, const float* dy, int64_t rows, int64_t cols, float* taps) {
  for (int64_t t = 0; t < 9; ++t, taps += kLanes) {
    vf acc[R][1];
    load_tile(acc, taps, 9 * kLanes, kLanes);
    for (int64_t i = 0; i < rows; ++i)
      multiply_add(acc, x + ((i + t / 3) * kTilePixels + t % 3) * kLanes, 1, kLanes, dy + i * kTileOutputs * kLanes,
                   kLanes, cols);
    store_tile(acc, taps, 9 * kLanes, kLanes);
  }
}

// taps (count, 9, kLanes) += the sums over the pixels of a tile, for `count` channels from c and n outputs from k.
void add_plain(const Conv2dBackwardWeight& a, const Tile& tile, int64_t c, int64_t count, int64_t k, int64_t n,
               float* taps) {
  const Conv2d& g = a.g;
  const float* image = a.x + tile.image * g.h * g.w * g.c;
  float x[kTilePixels * kTilePixels * kLanes] = {}, dy[kTileOutputs * kTileOutputs * kLanes];
  for (int64_t i = 0; i < kTilePixels * kTilePixels; ++i) {
    const int64_t row = tile.y - g.pad_top + i / kTilePixels, col = tile.x - g.pad_left + i % kTilePixels;
    if (row < 0 || col < 0 || row >= g.h || col >= g.w) continue;
    for (int64_t j = 0; j < count; ++j)
      x[i * kLanes + j] = image[g.x_nchw ? ((c + j) * g.h + row) * g.w + col : (row * g.w + col) * g.c + c + j];
  }
  const int64_t rows = min64(kTileOutputs, g.oh - tile.y), cols = min64(kTileOutputs, g.ow - tile.x);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < cols; ++j)
      store(dy + (i * kTileOutputs + j) * kLanes,
            load_n(a.dy + ((tile.image * g.oh + tile.y + i) * g.ow + tile.x + j) * g.k + k, n));
  const int64_t tiles = tile_count(count);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t first = tile_row(count, tiles, t);
    with_rows(tile_row(count, tiles, t + 1) - first, [&](auto height) {
      add_products<decltype(height)::value>(x + first, dy, rows, cols, taps + first * 9 * kLanes);
    });
  }
}

int64_t workspace(const Conv2dBackwardWeight& a) {
  const Conv2d& g = a.g;
  const Plan p = plan_of(g);
  const int64_t lists = p.parts * p.chunks * list_entries(p);
  return p.chunks * kPoints * du_plane(g) + lists * static_cast<int64_t>(sizeof(int64_t) / sizeof(float));
}

int64_t sum_tasks(const Conv2dBackwardWeight& a) {
  const Plan p = plan_of(a.g);
  return p.chunks * p.parts;
}

int64_t sum_scratch(const Conv2dBackwardWeight& a) {
  const Conv2d& g = a.g;
  const Plan p = plan_of(g);
  return kPoints * (x_plane(p) + y_plane(p)) + kPoints * max64(g.c, g.k) + p.block;
}

void sum(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float* scratch) {
  const Plan p = plan_of(a.g);
  float *vx = scratch, *vy = vx + kPoints * x_plane(p), *patch = vy + kPoints * y_plane(p);
  float* large = patch + kPoints * max64(a.g.c, a.g.k);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t chunk = task / p.parts, c0 = task % p.parts * p.part;
    const int64_t first = p.tiles * chunk / p.chunks, last = p.tiles * (chunk + 1) / p.chunks;
    float* du = a.partials + chunk * kPoints * du_plane(a.g);
    int64_t* list = list_of(a, p, chunk, task % p.parts);
    list[0] = 0;
    const bool kept = task > begin && c0 > 0 && last - first <= p.block;  // vy and large of the task before
    for (int64_t t = first; t == first || t < last; t += p.block) {
      const int64_t stop = min64(last, t + p.block);
      if (!kept) transform_dy(a, p, t, stop, vy, large, patch);
      transform_x(a, p, t, stop, c0, vx, large, list, patch);
      products(a.g, p, stop - t, c0, vx, vy, t == first, du);
    }
  }
}

int64_t add_tasks(const Conv2dBackwardWeight& a) { return ceil_div(a.g.k, kLanes); }

void add(const Conv2dBackwardWeight& a, int64_t begin, int64_t end, float*) {
  const Conv2d& g = a.g;
  const Plan p = plan_of(g);
  float taps[9 * kLanes * kLanes];  // of kLanes channels of c: neighbours in dw
  for (int64_t k = begin * kLanes; k < min64(g.k, end * kLanes); k += kLanes) {
    for (int64_t c = 0; c < g.c; c += kLanes) {
      const int64_t count = min64(kLanes, g.c - c);
      for (int64_t i = 0; i < count; ++i)
        taps_of(a.partials + (c + i) * p.k_pitch + k, du_plane(g), kAhead * p.k_pitch, kPoints * du_plane(g), p.chunks,
                taps + 9 * i * kLanes);
      for (int64_t chunk = 0; chunk < p.chunks; ++chunk) {
        const int64_t* list = list_of(a, p, chunk, c / p.part);  // parts are whole vectors
        for (int64_t t = 1; t <= list[0]; ++t) add_plain(a, tile_at(p, list[t]), c, count, k, g.k - k, taps);
      }
      scatter_lanes(taps, kLanes, 9 * count, min64(kLanes, g.k - k), a.dw + (k * g.c + c) * 9, g.c * 9);
    }
  }
}

}  // namespace

const Kernel<Conv2dBackwardWeight> winograd4_backward_weight = {
    {{sum_tasks, sum_scratch, sum}, {add_tasks, nullptr, add}}, workspace, &Conv2dBackwardWeight::partials};

}  // namespace FASTNN_ISA
}  // namespace fastnn

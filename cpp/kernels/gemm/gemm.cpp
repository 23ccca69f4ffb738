// gemm: c (m, n) = a (m, k) . b (k, n) + bias (n). b is packed into panels; a is read in place, or block by block from
// a copy where that pays; few rows of a, or of b, take b as it lies instead (gemm_few.h).
//   packed: [panel][bias of the panel][k][width], width = 2 vectors (1 where n fits one), zero-padded columns
//   copied: rows as rows, columns as [tile][k of the block][kTileRows]
// A task is a block of rows times a group of panels, and a thread takes the groups of a block together, so that they
// share a copy. k runs in blocks, for which the copy stays in L2; the sums are carried through c in between, so
// blocking does not change the order of additions.
#include "contract/gemm.h"
#include "core/finish.h"
#include "core/tile.h"
#include "core/transpose.h"
#include "gemm_few.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kRowTiles = 8;        // tiles of rows in a block: they share each panel while it is in cache
constexpr int64_t kDepth = 512;         // most of k in a block of a transposed a
constexpr int64_t kTaskWork = 1 << 18;  // multiply-adds a task should have: a few microseconds
constexpr int64_t kMinTasks = 16;       // if there is work enough
constexpr int64_t kPage = 1 << 10;      // floats; rows so far apart share the sets of L1, which holds eight of them
constexpr int64_t kSharing = 128;       // columns of b that a copy of columns of a has to serve
constexpr int64_t kAhead = 8;           // columns of a that are fetched before they are copied
constexpr int64_t kStrip = 16;          // rows of b that are packed together

int64_t width(const Gemm& g) { return g.n <= kLanes ? kLanes : 2 * kLanes; }
int64_t panels(const Gemm& g) { return ceil_div(g.n, width(g)); }
int64_t panel_floats(const Gemm& g) { return (g.k + 1) * width(g); }
int64_t packed_batches(const Gemm& g) { return g.b_batch == 0 ? 1 : g.batch; }

int64_t packed_floats(const Gemm& g) { return few(g) ? 0 : packed_batches(g) * panels(g) * panel_floats(g); }

int64_t pack_tasks(const Gemm& g) { return g.batch == 0 || g.m == 0 || few(g) ? 0 : packed_batches(g) * panels(g); }

// Rows [first, last) of b, for the panels [panel, end).
void pack_rows(const Gemm& g, const float* b, int64_t first, int64_t last, int64_t panel, int64_t end, float* out) {
  const int64_t w = width(g);
  for (; panel < end; ++panel, out += panel_floats(g)) {
    const int64_t valid = min64(w, g.n - panel * w);
    for (int64_t p = first; p < last; ++p) {
      const float* from = b + p * g.b_row + panel * w;
      for (int64_t j = 0; j < w; j += kLanes) store(out + (p + 1) * w + j, load_n(from + j, max64(0, valid - j)));
    }
  }
}

void pack_columns(const Gemm& g, const float* b, int64_t valid, float* __restrict out) {
  const int64_t w = width(g);
  for (int64_t j = 0; j < w; j += kLanes) {
    if (g.b_row == 1)
      gather_lanes(b + j * g.b_col, g.b_col, g.k, max64(0, min64(kLanes, valid - j)), out + w + j, w);
    else
      for (int64_t p = 0; p < g.k; ++p)
        for (int64_t i = j; i < j + kLanes; ++i) out[(p + 1) * w + i] = i < valid ? b[p * g.b_row + i * g.b_col] : 0.0f;
  }
}

// Panels [panel, end) of one batch.
void pack_panels(const Gemm& g, const float* b, int64_t panel, int64_t end, float* out) {
  const int64_t w = width(g);
  for (int64_t i = panel; i < end; ++i) {
    float* at = out + (i - panel) * panel_floats(g);
    const int64_t column = i * w, valid = min64(w, g.n - column);
    for (int64_t j = 0; j < w; ++j) at[j] = g.bias && j < valid ? g.bias[column + j] : 0.0f;
    if (g.b_col != 1) pack_columns(g, b + column * g.b_col, valid, at);
  }
  if (g.b_col == 1)
    for (int64_t p = 0; p < g.k; p += kStrip) pack_rows(g, b, p, min64(g.k, p + kStrip), panel, end, out);
}

void pack(const Gemm& g, int64_t begin, int64_t end, float* packed) {
  while (begin < end) {
    const int64_t batch = begin / panels(g), panel = begin % panels(g), last = min64(panels(g), panel + end - begin);
    pack_panels(g, g.b + batch * g.b_batch, panel, last, packed + begin * panel_floats(g));
    begin += last - panel;
  }
}

// Where b is not packed yet.
int64_t workspace(const Gemm& g) { return g.packed ? 0 : packed_floats(g); }
int64_t own_pack_tasks(const Gemm& g) { return g.packed ? 0 : pack_tasks(g); }
void own_pack(const Gemm& g, int64_t begin, int64_t end, float*) { pack(g, begin, end, g.workspace); }
const float* panels_of_b(const Gemm& g) { return g.packed ? g.packed : g.workspace; }

// Blocks of rows: of kRowTiles tiles, or smaller where there would be too few tasks, if each has work enough.
int64_t row_blocks(const Gemm& g) {
  const int64_t work = g.m * width(g) * max64(1, g.k);  // of a panel
  const int64_t wanted = min64(ceil_div(kMinTasks, max64(1, panels(g))), work / kTaskWork);
  return max64(ceil_div(g.m, kRowTiles * kMaxRows), min64(tile_count(g.m), wanted));
}
// Most of k in a block. Rows are longer runs than columns, and the more so where few panels read them again.
int64_t depth(const Gemm& g) { return g.a_row == 1 ? kDepth : (g.n < kSharing ? 4 : 2) * kDepth; }
int64_t depth_blocks(const Gemm& g) { return max64(1, ceil_div(g.k, depth(g))); }

// Whether blocks of a are copied. Rows a multiple of kPage apart share one set of L1, and a tile reads a float of each
// in turn. Columns so far apart share the sets of L2 as well, where a block of them should wait for the next panel.
bool copies(const Gemm& g) {
  if (g.m <= 8 || g.k <= kLanes) return false;
  if (g.a_row == 1) return g.a_col % (kPage / 2) == 0 && g.k > kDepth && g.n >= (g.a_col % kPage ? 2 : 1) * kSharing;
  return g.a_col == 1 && g.a_row % kPage == 0 && g.a_row > 0;
}

// The copy of a row, or of a tile of columns: with a line in between, they do not share sets of L1.
constexpr int64_t kTileRows = (kMaxRows + 7) / 8 * 8;
int64_t copied_row(const Gemm& g) { return min64(g.k, depth(g)) + 16; }
int64_t copied_tile(const Gemm& g) { return (min64(g.k, kDepth) + 1) * kTileRows; }
int64_t scratch_floats(const Gemm& g) {
  if (!copies(g)) return 0;
  return kRowTiles * (g.a_row == 1 ? copied_tile(g) : kMaxRows * copied_row(g));
}

// Rows of a as tiles read them: in place, or copied tile by tile, `tile` floats apart.
struct TileRows {
  const float* a;
  int64_t row, col, tile, k;
};

// A row of a transposed a, cut into tiles.
[[gnu::noinline]] void copy_columns(const Gemm& g, const float* a, const int64_t (&row)[kRowTiles + 1], int64_t tiles,
                                    int64_t k, float* out) {
  const int64_t step = copied_tile(g);
  for (int64_t p = 0; p < k; ++p, a += g.a_col, out += kTileRows) {
    if (p + kAhead < k)
      for (int64_t i = 0; i < row[tiles]; i += 16) __builtin_prefetch(a + kAhead * g.a_col + i);
    for (int64_t t = 0; t < tiles; ++t)
      for (int64_t i = row[t]; i < row[t + 1]; i += kLanes)
        store(out + t * step + i - row[t], load_n(a + i, row[t + 1] - i));
  }
}

// Replaces a block of k by its copy.
void copy_block(const Gemm& g, int64_t rows, TileRows& a, float* out) {
  const int64_t tiles = tile_count(rows);
  if (g.a_row == 1) {
    int64_t row[kRowTiles + 1];
    for (int64_t t = 0; t <= tiles; ++t) row[t] = tile_row(rows, tiles, t);
    copy_columns(g, a.a, row, tiles, a.k, out);
    a = {out, 1, kTileRows, copied_tile(g), a.k};
    return;
  }
  for (int64_t r = 0; r < rows; ++r) __builtin_memcpy(out + r * copied_row(g), a.a + r * g.a_row, a.k * sizeof(float));
  a = {out, copied_row(g), 1, 0, a.k};
}

// Panels of a task.
int64_t panel_group(const Gemm& g) {
  const int64_t work = ceil_div(g.m, row_blocks(g)) * width(g) * max64(g.k, 1);
  return min64(panels(g), ceil_div(kTaskWork, work));
}

int64_t tasks(const Gemm& g) {
  if (g.m == 0 || g.n == 0) return 0;
  if (few(g)) return few_tasks(g);
  return g.batch * row_blocks(g) * ceil_div(panels(g), panel_group(g));
}

// c, or where it is the first block of k the bias, plus a tile of a times as many rows of the panel.
template <int R, int V>
[[gnu::noinline]] void tile(const TileRows& a, const float* at, const float* bias, const float* b, int64_t b_row,
                            float* c, int64_t c_row, int64_t columns) {
  // Fetched while the sums grow: the stores of a tile would wait for its lines one by one.
#pragma GCC unroll 16
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < V; ++j) __builtin_prefetch(c + i * c_row + j * kLanes, 1);
  vf acc[R][V];
  if (bias)
    start_tile(acc, bias);
  else
    load_tile(acc, c, c_row, columns);
  multiply_add(acc, at, a.row, a.col, b, b_row, a.k);
  store_tile(acc, c, c_row, columns);
}

// A block of k: rows of a, in place or copied, times the panels [panel, end), of which b and c are given from the first
// on.
void run_depth(const Gemm& g, const TileRows& a, int64_t rows, int64_t panel, int64_t end, bool first, const float* b,
               float* c) {
  const int64_t tiles = tile_count(rows), w = width(g);
  for (; panel < end; ++panel, b += panel_floats(g), c += w) {
    const int64_t columns = min64(w, g.n - panel * w);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t r = tile_row(rows, tiles, t);
      const float* at = a.a + (a.tile ? t * a.tile : r * a.row);
      with_rows(tile_row(rows, tiles, t + 1) - r, [&](auto height) {
        constexpr int R = decltype(height)::value;
        if (columns <= kLanes)
          tile<R, 1>(a, at, first ? b - w : nullptr, b, w, c + r * g.c_row, g.c_row, columns);
        else
          tile<R, 2>(a, at, first ? b - w : nullptr, b, w, c + r * g.c_row, g.c_row, columns);
      });
    }
  }
}

void run_block(const Gemm& g, int64_t batch, int64_t block, int64_t panel, int64_t end, float* scratch) {
  const int64_t row = tile_row(g.m, row_blocks(g), block), rows = tile_row(g.m, row_blocks(g), block + 1) - row;
  const float* a = g.a + batch * g.a_batch + row * g.a_row;
  const float* b = panels_of_b(g) + ((g.b_batch == 0 ? 0 : batch * panels(g)) + panel) * panel_floats(g);
  float* c = g.c + batch * g.c_batch + row * g.c_row + panel * width(g);
  for (int64_t d = 0; d < depth_blocks(g); ++d) {
    const int64_t p = tile_row(g.k, depth_blocks(g), d), k = tile_row(g.k, depth_blocks(g), d + 1) - p;
    TileRows rows_of_a{a + p * g.a_col, g.a_row, g.a_col, 0, k};
    if (copies(g)) copy_block(g, rows, rows_of_a, scratch);
    run_depth(g, rows_of_a, rows, panel, end, d == 0, b + (p + 1) * width(g), c);
  }
  if (g.relu) finish(c, nullptr, true, rows, g.c_row, 1, 0, min64(end * width(g), g.n) - panel * width(g));
}

void run(const Gemm& g, int64_t begin, int64_t end, float* scratch) {
  if (few(g)) return run_few(g, begin, end);
  const int64_t blocks = row_blocks(g), group = panel_group(g), groups = ceil_div(panels(g), group);
  while (begin < end) {
    const int64_t block = begin / groups, first = begin % groups, last = min64(groups, first + end - begin);
    run_block(g, block / blocks, block % blocks, first * group, min64(last * group, panels(g)), scratch);
    begin += last - first;
  }
}

}  // namespace

void add_gemm(GemmKernels& k) {
  k.gemm_pack = {packed_floats, pack_tasks, pack};
  k.gemm = {{{own_pack_tasks, nullptr, own_pack}, {tasks, scratch_floats, run}}, workspace, &Gemm::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

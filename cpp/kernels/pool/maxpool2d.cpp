// maxpool2d: y (n, oh, ow, c) and the taps taken, from x (n, h, w, c); dx from dy and those taps.
// Vectors run over the channels, or over whole pixels where several fit a vector. Forward: a task is a block of output
// rows. Backward: a task is a block of input rows, each made from the output rows whose windows reach it, so nothing is
// scattered between tasks.
#include "contract/pool.h"
#include "core/bytes.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kTaskWork = 1 << 17;  // taps of a channel that a task should have, a lane left empty counts

struct Range {
  int64_t first, last;
};

// Taps t of `taps` whose input position start + t * step lies in [0, size).
Range taps_inside(int64_t start, int64_t step, int64_t taps, int64_t size) {
  if (start >= 0 && start + (taps - 1) * step < size) return {0, taps};
  const int64_t low = start >= 0 ? 0 : min64(taps, ceil_div(-start, step));
  const int64_t high = start >= size ? 0 : min64(taps, (size - 1 - start) / step + 1);
  return {low, max64(low, high)};
}

int64_t rows_per_task(const MaxPool2d& g, int64_t columns) {
  return ceil_div(kTaskWork, max64(1, columns * ceil_div(g.c, 16) * 16));
}

// Where to write the taps taken: bytes, int32, or nothing.
struct NoIndex {};
[[gnu::always_inline]] inline void store_index(NoIndex*, vi, int64_t) {}
[[gnu::always_inline]] inline NoIndex* advance(NoIndex*, int64_t) { return nullptr; }
[[gnu::always_inline]] inline uint8_t* advance(uint8_t* p, int64_t n) { return p + n; }
[[gnu::always_inline]] inline int32_t* advance(int32_t* p, int64_t n) { return p + n; }

// v > largest, or v is NaN: torch's rule, by which the first of equals and any NaN win.
[[gnu::always_inline]] inline void take_larger(vf v, int32_t tap, vf& largest, vi& taken) {
#if defined(__AVX512F__)
  const __mmask16 larger = _mm512_cmp_ps_mask(v, largest, _CMP_GT_OQ) | _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  largest = _mm512_mask_mov_ps(largest, larger, v);
  taken = (vi)_mm512_mask_mov_epi32((__m512i)taken, larger, _mm512_set1_epi32(tap));
#else
  const vi larger = (v > largest) | (v != v);
  largest = larger ? v : largest;
  taken = larger ? splat_int(tap) : taken;
#endif
}

// One output pixel; x is the image from the first channel, at[ky, kx] = start + ky * row_step + kx * column_step.
struct Taps {
  Range rows, columns;
  int64_t start, row_step, column_step;
};

// n lanes, which read(p) finds where p is the first of them at a tap.
template <class Read, class Index>
[[gnu::always_inline]] inline void pool_taps(const MaxPool2d& g, const float* x, const Taps& t, Read read, int64_t n,
                                             float* y, Index* index) {
  vf largest = splat(-__builtin_inff());
  vi taken = splat_int((int32_t)(t.rows.first * g.kw + t.columns.first));
  for (int64_t ky = t.rows.first; ky < t.rows.last; ++ky)
    for (int64_t kx = t.columns.first; kx < t.columns.last; ++kx)
      take_larger(read(x + t.start + ky * t.row_step + kx * t.column_step), (int32_t)(ky * g.kw + kx), largest, taken);
  store_n(y, largest, n);
  store_index(index, taken, n);
}

template <class Index>
[[gnu::noinline]] void pool_lanes(const MaxPool2d& g, const float* x, const Taps& t, int64_t n, float* y,
                                  Index* index) {
  pool_taps(g, x, t, [n](const float* p) { return load_n(p, n); }, n, y, index);
}

// Few channels: a vector takes `count` output pixels, none if that is less than two. `from` says which float after the
// first becomes a lane: of x forwards, of dy backwards, where the lanes are those pixels' taps of a row, in `column`.
struct Pixels {
  int64_t count;
  vi from, column;
};

Pixels pixels_forward(const MaxPool2d& g) {
  if (g.c == 0 || 2 * g.c > kLanes) return Pixels{0, {}, {}};
  Pixels p{min64(kLanes / g.c, 1 + (2 * kLanes - g.c) / (g.stride_w * g.c)), {}, {}};  // seen by two vectors of x
  for (int64_t i = 0; i < p.count * g.c; ++i) p.from[i] = (int32_t)(i / g.c * g.stride_w * g.c + i % g.c);
  return p;
}

template <class Index>
[[gnu::noinline]] void pool_pixels(const MaxPool2d& g, const float* x, const Taps& t, const Pixels& pixels, float* y,
                                   Index* index) {
  const vi from = pixels.from;
  const auto read = [from](const float* p) { return permute(load(p), load(p + kLanes), from); };
  pool_taps(g, x, t, read, pixels.count * g.c, y, index);
}

// A whole vector in which nothing is NaN. Otherwise the sum is NaN too (as it may be with infinities of both signs):
// then nothing is stored, and pool_lanes has to decide.
template <class Index>
[[gnu::always_inline]] inline bool pool_numbers(const MaxPool2d& g, const float* x, const Taps& t, float* y,
                                                Index* index) {
  vf largest = splat(-__builtin_inff()), sum = {};
  vi taken = splat_int((int32_t)(t.rows.first * g.kw + t.columns.first));
  for (int64_t ky = t.rows.first; ky < t.rows.last; ++ky) {
    const float* row = x + t.start + ky * t.row_step;
    for (int64_t kx = t.columns.first; kx < t.columns.last; ++kx) {
      const vf v = load(row + kx * t.column_step);
      sum += v;
      taken = v > largest ? splat_int((int32_t)(ky * g.kw + kx)) : taken;
      largest = max(v, largest);
    }
  }
  if (has_nan(sum)) return false;
  store(y, largest);
  store_index(index, taken, kLanes);
  return true;
}

template <class Index>
void pool_row(const MaxPool2d& g, const float* x, int64_t oy, const Pixels& pixels, float* y, Index* index) {
  const int64_t top = oy * g.stride_h - g.pad_top, more = pixels.count - 1;
  Taps t{taps_inside(top, g.dilation_h, g.kh, g.h), {}, 0, g.dilation_h * g.w * g.c, g.dilation_w * g.c};
  // Several pixels from one: their windows lie in the row, what is read lies in the image.
  const int64_t last_left = g.w - 1 - g.dilation_w * (g.kw - 1) - more * g.stride_w;
  const int64_t last_start = g.h * g.w * g.c - 2 * kLanes - (t.rows.last - 1) * t.row_step - (g.kw - 1) * t.column_step;
  for (int64_t ox = 0; ox < g.ow; ++ox) {
    const int64_t left = ox * g.stride_w - g.pad_left;
    t.columns = taps_inside(left, g.dilation_w, g.kw, g.w);
    t.start = (top * g.w + left) * g.c;
    if (more > 0 && ox + more < g.ow && left >= 0 && left <= last_left && t.start <= last_start) {
      pool_pixels(g, x, t, pixels, y, index);
      ox += more;
      y += pixels.count * g.c;
      index = advance(index, pixels.count * g.c);
      continue;
    }
    int64_t c = 0;
    for (; c + kLanes <= g.c; c += kLanes)
      if (!pool_numbers(g, x + c, t, y + c, advance(index, c)))
        pool_lanes(g, x + c, t, kLanes, y + c, advance(index, c));
    if (c < g.c) pool_lanes(g, x + c, t, g.c - c, y + c, advance(index, c));
    y += g.c;
    index = advance(index, g.c);
  }
}

int64_t forward_rows(const MaxPool2d& g) { return rows_per_task(g, g.ow * g.kh * g.kw); }

int64_t forward_tasks(const MaxPool2dForward& a) {
  return a.g.c == 0 ? 0 : ceil_div(a.g.n * a.g.oh, forward_rows(a.g));
}

void forward(const MaxPool2dForward& a, int64_t begin, int64_t end, float*) {
  const MaxPool2d& g = a.g;
  const int64_t rows = forward_rows(g), row_floats = g.ow * g.c;
  const Pixels pixels = pixels_forward(g);
  for (int64_t r = begin * rows; r < min64(end * rows, g.n * g.oh); ++r) {
    const float* x = a.x + r / g.oh * g.h * g.w * g.c;
    float* y = a.y + r * row_floats;
    if (a.index8)
      pool_row(g, x, r % g.oh, pixels, y, a.index8 + r * row_floats);
    else if (a.index32)
      pool_row(g, x, r % g.oh, pixels, y, a.index32 + r * row_floats);
    else
      pool_row(g, x, r % g.oh, pixels, y, (NoIndex*)nullptr);
  }
}

// Windows that touch no pixel twice: dx is written, not added to.
bool is_disjoint(const MaxPool2d& g) {
  return (g.kh - 1) * g.dilation_h < g.stride_h && (g.kw - 1) * g.dilation_w < g.stride_w;
}

// Disjoint windows that leave no column out.
bool covers_columns(const MaxPool2d& g) {
  return g.kw == g.stride_w && (g.kw == 1 || g.dilation_w == 1) && g.ow * g.stride_w - g.pad_left >= g.w;
}

Pixels pixels_backward(const MaxPool2d& g) {
  if (g.c == 0 || !is_disjoint(g) || !covers_columns(g) || g.kw * g.c > kLanes) return Pixels{0, {}, {}};
  Pixels p{kLanes / (g.kw * g.c), {}, {}};
  for (int64_t i = 0; i < p.count * g.kw * g.c; ++i) {
    p.from[i] = (int32_t)(i / (g.kw * g.c) * g.c + i % g.c);
    p.column[i] = (int32_t)(i / g.c % g.kw);
  }
  return p;
}

// spread_row for `pixels.count` output pixels that lie in the row; dx has that much room in its row.
template <class Index>
[[gnu::always_inline]] inline void spread_pixels(const MaxPool2d& g, const float* dy, const Index* index, int64_t ky,
                                                 const Pixels& pixels, float* dx, int64_t room) {
  const int64_t n = pixels.count * g.c;
  const vf d = load_n(dy, n), taken = (vf)load_index(index, n);
  const vi tap = (vi)permute(taken, taken, pixels.from);
  const vf part = tap == pixels.column + splat_int((int32_t)(ky * g.kw)) ? permute(d, d, pixels.from) : vf{};
  store_n(dx, part, room > kLanes ? kLanes : n * g.kw);  // what is too much is written again
}

// Adds to (or writes, where Write) the row of dx what tap row ky of the output row at dy gives it.
template <bool Write, class Index>
void spread_row(const MaxPool2d& g, const float* dy, const Index* index, int64_t ky, const Pixels& pixels, float* dx) {
  for (int64_t ox = 0; ox < g.ow; ++ox) {
    const int64_t left = ox * g.stride_w - g.pad_left;
    if (Write && pixels.count > 0 && left >= 0 && ox + pixels.count <= g.ow && left + pixels.count * g.kw <= g.w) {
      spread_pixels(g, dy, index, ky, pixels, dx + left * g.c, (g.w - left) * g.c);
      ox += pixels.count - 1;
      dy += pixels.count * g.c;
      index += pixels.count * g.c;
      continue;
    }
    const Range taps = taps_inside(left, g.dilation_w, g.kw, g.w);
    for (int64_t c = 0; c < g.c; c += kLanes) {
      const int64_t n = min64(kLanes, g.c - c);
      const vf d = load_n(dy + c, n);
      const vi taken = load_index(index + c, n);
      for (int64_t kx = taps.first; kx < taps.last; ++kx) {
        float* to = dx + (left + kx * g.dilation_w) * g.c + c;
        const vf part = taken == splat_int((int32_t)(ky * g.kw + kx)) ? d : vf{};
        store_n(to, Write ? part : load_n(to, n) + part, n);
      }
    }
    dy += g.c;
    index += g.c;
  }
}

template <class Index>
void backward_row(const MaxPool2d& g, const float* dy, const Index* index, int64_t y, const Pixels& pixels, float* dx) {
  const int64_t at = y + g.pad_top, extent = (g.kh - 1) * g.dilation_h;
  const int64_t first = at <= extent ? 0 : ceil_div(at - extent, g.stride_h), last = min64(g.oh - 1, at / g.stride_h);
  const bool disjoint = is_disjoint(g);
  bool zeroed = false;
  if (!disjoint || !covers_columns(g) || first > last) {
    __builtin_memset(dx, 0, g.w * g.c * sizeof(float));
    zeroed = true;
  }
  for (int64_t oy = first; oy <= last; ++oy) {
    const int64_t offset = at - oy * g.stride_h, row = oy * g.ow * g.c;
    if (offset % g.dilation_h) {
      if (!zeroed) __builtin_memset(dx, 0, g.w * g.c * sizeof(float));
      zeroed = true;
    } else if (disjoint) {
      spread_row<true>(g, dy + row, index + row, offset / g.dilation_h, pixels, dx);
    } else {
      spread_row<false>(g, dy + row, index + row, offset / g.dilation_h, pixels, dx);
    }
  }
}

int64_t backward_rows(const MaxPool2d& g) { return rows_per_task(g, g.w + g.ow * g.kw); }

int64_t backward_tasks(const MaxPool2dBackward& a) {
  return a.g.c == 0 ? 0 : ceil_div(a.g.n * a.g.h, backward_rows(a.g));
}

void backward(const MaxPool2dBackward& a, int64_t begin, int64_t end, float*) {
  const MaxPool2d& g = a.g;
  const int64_t rows = backward_rows(g), image = g.oh * g.ow * g.c;
  const Pixels pixels = pixels_backward(g);
  for (int64_t r = begin * rows; r < min64(end * rows, g.n * g.h); ++r) {
    const int64_t n = r / g.h, y = r % g.h;
    float* dx = a.dx + r * g.w * g.c;
    if (a.index8)
      backward_row(g, a.dy + n * image, a.index8 + n * image, y, pixels, dx);
    else
      backward_row(g, a.dy + n * image, a.index32 + n * image, y, pixels, dx);
  }
}

}  // namespace

void add_maxpool2d(PoolKernels& k) {
  k.maxpool2d_forward = {{{forward_tasks, nullptr, forward}}};
  k.maxpool2d_backward = {{{backward_tasks, nullptr, backward}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

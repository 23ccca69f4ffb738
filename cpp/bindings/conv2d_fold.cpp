#include "conv2d_fold.h"

#include <algorithm>
#include <cstring>

#include "contract/gemm.h"
#include "runtime/launch.h"

namespace fastnn {
namespace {

constexpr int64_t kFewPixels = 13;  // fewer than the rows of the tallest tile
constexpr int64_t kShortRow = 6;    // positions in a row that leave half of it empty
constexpr int64_t kPositions = 16;  // and most of all positions that are gathered
constexpr int64_t kFilters = 16;    // that share a copy

struct Taps {
  int64_t first, count;
};

// The taps that see the image at some position, all between the first and the last of them; one where there is none.
// One position may begin anywhere; of several, the first begins at the image's border or outside.
Taps seen_taps(int64_t size, int64_t positions, int64_t stride, int64_t dilation, int64_t pad, int64_t taps) {
  const auto sees = [&](int64_t tap) {
    const int64_t at = tap * dilation - pad;  // of the first position
    if (at >= 0) return at < size;
    const int64_t moves = (-at + stride - 1) / stride;
    return moves < positions && at + moves * stride < size;
  };
  // No tap before `first` reaches the image, however far it moves: only these are worth a look.
  int64_t first = std::max<int64_t>(0, (pad - (positions - 1) * stride + dilation - 1) / dilation);
  int64_t last = std::min(taps - 1, (size - 1 + pad) / dilation);
  while (first < last && !sees(first)) ++first;
  while (last > first && !sees(last)) --last;
  if (first >= taps || first > last || !sees(first)) return {0, 1};
  if (positions > 1) first = std::min(first, pad / dilation);
  return {first, last - first + 1};
}

// How many of an axis' pairs of position and tap see the image.
int64_t seen_pairs(int64_t size, int64_t positions, int64_t stride, int64_t dilation, int64_t at, int64_t taps) {
  int64_t pairs = 0;
  for (int64_t o = 0; o < positions; ++o)
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t pixel = o * stride + t * dilation + at;
      pairs += pixel >= 0 && pixel < size;
    }
  return pairs;
}

// Whether tiles along a row of positions, or along the one column of them, would be short, and few copies help: of
// pixels, not of padding.
bool gather_pays(const Conv2d& g, const Taps& high, const Taps& wide) {
  const int64_t along = g.ow == 1 ? g.oh : g.ow;
  const bool few = g.groups == 1 && g.k < kFilters;
  if (few || along > kShortRow || g.oh * g.ow > kPositions || high.count * wide.count == 1) return false;
  const int64_t y = high.first * g.dilation_h - g.pad_top, x = wide.first * g.dilation_w - g.pad_left;
  const int64_t pairs = seen_pairs(g.h, g.oh, g.stride_h, g.dilation_h, y, high.count) *
                        seen_pairs(g.w, g.ow, g.stride_w, g.dilation_w, x, wide.count);
  return 10 * pairs >= 9 * g.oh * g.ow * high.count * wide.count;
}

// tasks times run(task), on all threads.
template <class Run>
void parallel(int64_t tasks, const Run& run) {
  run_tasks(
      [](const void* context, int64_t begin, int64_t end, float*) {
        for (int64_t task = begin; task < end; ++task) (*static_cast<const Run*>(context))(task);
      },
      &run, tasks, 0);
}

void transpose(int64_t n, int64_t rows, int64_t cols, const float* x, float* y) {
  launch(kernels().gemm->transpose, Transpose{n, rows, cols, x, y});
}

// The pixels of a region of one image, `planes` of them with `unit` floats to a pixel, to or from dense memory.
struct Window {
  Region region;
  int64_t planes, h, w, unit;

  template <class Copy>
  void each_run(const Copy& copy) const {
    const bool joined = region.step_x == 1;
    const int64_t runs = joined ? 1 : region.cols, length = (joined ? region.cols : 1) * unit;
    int64_t dense = 0;
    for (int64_t plane = 0; plane < planes; ++plane)
      for (int64_t row = 0; row < region.rows; ++row)
        for (int64_t run = 0; run < runs; ++run, dense += length)
          copy(((plane * h + region.y + row * region.step_y) * w + region.x + run * region.step_x) * unit, dense,
               length * 4);
  }
};

Window window_of(const Fold& f, bool channels_first) {
  const Conv2d& g = f.outer;
  return channels_first ? Window{f.seen, g.c, g.h, g.w, 1} : Window{f.seen, 1, g.h, g.w, g.c};
}

// What the positions of one image see, as (position, group, ky, kx, c), run by run: run(from, to, before, floats,
// length) for `length` floats of the rows at `to`, of which `floats` after the first `before` are the image's at
// `from`, and the others padding.
template <class Run>
void each_seen(const Fold& f, const Run& run) {
  const Conv2d& g = f.outer;
  const int64_t x0 = f.first_x * g.dilation_w - g.pad_left, y0 = f.first_y * g.dilation_h - g.pad_top;
  const int64_t pixels = g.dilation_w == 1 && g.groups == 1 ? f.kw : 1, depth = g.c / g.groups;
  int64_t to = 0;
  for (int64_t i = 0; i < g.oh * g.ow * g.groups; ++i) {
    const int64_t o = i / g.groups, group = i % g.groups;
    for (int64_t t = 0; t < f.kh * f.kw; t += pixels, to += pixels * depth) {
      const int64_t y = o / g.ow * g.stride_h + t / f.kw * g.dilation_h + y0;
      const int64_t x = o % g.ow * g.stride_w + t % f.kw * g.dilation_w + x0;
      const bool inside = y >= 0 && y < g.h;
      const int64_t first = inside ? std::clamp<int64_t>(-x, 0, pixels) : pixels;
      const int64_t last = inside ? std::clamp<int64_t>(g.w - x, first, pixels) : pixels;
      const int64_t pixel = (inside ? y * g.w : 0) + x + first;
      run(pixel * g.c + group * depth, to, first * depth, (last - first) * depth, pixels * depth);
    }
  }
}

const float* gathered(const Fold& f, const float* x, Blocks& blocks) {
  const int64_t image = f.outer.h * f.outer.w * f.outer.c, rows = f.gathered_floats() / f.outer.n;
  float* all = blocks.take(f.gathered_floats());
  parallel(f.outer.n, [&](int64_t n) {
    each_seen(f, [&](int64_t from, int64_t to, int64_t before, int64_t floats, int64_t length) {
      float* row = all + n * rows + to;
      std::fill(row, row + before, 0.0f);
      if (floats) std::memcpy(row + before, x + n * image + from, floats * sizeof(float));
      std::fill(row + before + floats, row + length, 0.0f);
    });
  });
  return all;
}

// dx = the sums of what its pixels were seen as, position by position.
void scatter(const Fold& f, const float* all, float* dx) {
  const int64_t image = f.outer.h * f.outer.w * f.outer.c, rows = f.gathered_floats() / f.outer.n;
  parallel(f.outer.n, [&](int64_t n) {
    float* to_image = dx + n * image;
    std::memset(to_image, 0, image * sizeof(float));
    each_seen(f, [&](int64_t from, int64_t to, int64_t before, int64_t floats, int64_t) {
      const float* row = all + n * rows + to + before;
      for (int64_t i = 0; i < floats; ++i) to_image[from + i] += row[i];
    });
  });
}

}  // namespace

int64_t Fold::leading_taps() const { return kind == Kind::column ? kw : kind == Kind::gather ? kh * kw : 1; }

bool Fold::channels_first(bool of_x) const {
  if (kind == Kind::product && g.kh * g.kw > 1) return true;
  return of_x && outer.x_nchw &&
         (kind == Kind::whole || seen.cols * seen.rows == 1 || (kind == Kind::column && kw == 1));
}

void Fold::add_to(PackKey& key) const {
  key.insert(key.end(), {static_cast<int64_t>(kind), first_y, first_x, outer.kh, outer.kw});
}

Fold fold_of(const Conv2d& g, bool products, bool gathers) {
  const Taps high = seen_taps(g.h, g.oh, g.stride_h, g.dilation_h, g.pad_top, g.kh);
  const Taps wide = seen_taps(g.w, g.ow, g.stride_w, g.dilation_w, g.pad_left, g.kw);
  Fold f{Fold::Kind::whole, g, g, high.first, wide.first, high.count, wide.count, {0, 0, g.h, g.w, 1, 1}};
  if (g.n == 0 || g.c == 0 || g.h == 0 || g.w == 0) {  // nothing is seen, whatever is left out
    f.first_y = f.first_x = 0, f.kh = g.kh, f.kw = g.kw;
    return f;
  }
  const int64_t y = high.first * g.dilation_h - g.pad_top, x = wide.first * g.dilation_w - g.pad_left;
  const bool inside = y >= 0 && x >= 0 && y < g.h && x < g.w;
  f.g.kh = f.kh, f.g.kw = f.kw;
  if (products && g.oh == 1 && g.ow == 1 && inside) {
    f.kind = Fold::Kind::product;
    f.seen = {y, x, f.kh, f.kw, g.dilation_h, g.dilation_w};
    return f;
  }
  const bool dense = y == 0 && x == 0 && g.stride_h == 1 && g.stride_w == 1 && g.oh == g.h && g.ow == g.w;
  if (products && f.kh == 1 && f.kw == 1 && dense && g.h * g.w <= kFewPixels) {
    f.kind = Fold::Kind::product;
    return f;
  }
  if (products && gathers && gather_pays(g, high, wide)) {
    f.kind = Fold::Kind::gather;
    return f;
  }
  if (g.ow == 1 && x >= 0 && x < g.w && (g.groups == 1 || f.kw == 1)) {
    f.kind = Fold::Kind::column;
    f.seen = {0, x, g.h, f.kw, 1, g.dilation_w};
    f.g.c = f.kw * g.c, f.g.h = 1, f.g.w = g.h, f.g.kh = 1, f.g.kw = f.kh, f.g.oh = 1, f.g.ow = g.oh;
    f.g.stride_h = 1, f.g.stride_w = g.stride_h;
    f.g.dilation_h = 1, f.g.dilation_w = f.kh == 1 ? 1 : g.dilation_h;
    f.g.pad_top = 0, f.g.pad_left = g.pad_top - f.first_y * g.dilation_h;
    f.g.x_nchw = f.channels_first(true);
    if (f.g.pad_left >= 0) return f;
    f.kind = Fold::Kind::whole, f.g = g, f.seen = {0, 0, g.h, g.w, 1, 1};
  }
  // The kernels count padding from 0 on: where the first tap that is left begins inside, those before it stay.
  const auto keep = [](int64_t pad, int64_t dilation, int64_t& first, int64_t& count) {
    const int64_t more = std::max<int64_t>(0, first - pad / dilation);
    first -= more, count += more;
    return pad - first * dilation;
  };
  f.g.pad_top = keep(g.pad_top, g.dilation_h, f.first_y, f.kh);
  f.g.pad_left = keep(g.pad_left, g.dilation_w, f.first_x, f.kw);
  f.g.kh = f.kh, f.g.kw = f.kw;
  if (f.kh == 1) f.g.dilation_h = 1;
  if (f.kw == 1) f.g.dilation_w = 1;
  return f;
}

const float* folded_weight(const Fold& f, const float* weight, Blocks& blocks) {
  const int64_t filters = f.outer.k * (f.outer.c / f.outer.groups);
  if (f.crops()) {
    float* cropped = blocks.take(f.weight_floats());
    const Window taps{{f.first_y, f.first_x, f.kh, f.kw, 1, 1}, filters, f.outer.kh, f.outer.kw, 1};
    taps.each_run([&](int64_t from, int64_t to, int64_t bytes) { std::memcpy(cropped + to, weight + from, bytes); });
    weight = cropped;
  }
  const int64_t taps = f.leading_taps();
  if (taps == 1) return weight;
  float* turned = blocks.take(f.weight_floats());
  transpose(f.outer.k, f.weight_floats() / f.outer.k / taps, taps, weight, turned);
  return turned;
}

float* weight_target(const Fold& f, float* dw, Blocks& blocks) {
  return f.crops() || f.leading_taps() > 1 ? blocks.take(f.weight_floats()) : dw;
}

void unfold_weight(const Fold& f, const float* target, float* dw, Blocks& blocks) {
  if (target == dw) return;
  if (const int64_t taps = f.leading_taps(); taps > 1) {
    float* turned = f.crops() ? blocks.take(f.weight_floats()) : dw;
    transpose(f.outer.k, taps, f.weight_floats() / f.outer.k / taps, target, turned);
    target = turned;
  }
  if (!f.crops()) return;
  const int64_t filters = f.outer.k * (f.outer.c / f.outer.groups);
  std::memset(dw, 0, filters * f.outer.kh * f.outer.kw * sizeof(float));
  const Window taps{{f.first_y, f.first_x, f.kh, f.kw, 1, 1}, filters, f.outer.kh, f.outer.kw, 1};
  taps.each_run([&](int64_t to, int64_t from, int64_t bytes) { std::memcpy(dw + to, target + from, bytes); });
}

const float* folded_image(const Fold& f, const float* x, Blocks& blocks) {
  if (f.kind == Fold::Kind::whole) return x;
  const Conv2d& g = f.outer;
  const int64_t pixels = f.seen.rows * f.seen.cols;
  if (!f.sees_all()) {
    float* dense = blocks.take(f.image_floats());
    const Window window = window_of(f, g.x_nchw);
    parallel(g.n, [&](int64_t n) {
      const float* from_image = x + n * g.c * g.h * g.w;
      float* to_image = dense + n * g.c * pixels;
      window.each_run(
          [&](int64_t from, int64_t to, int64_t bytes) { std::memcpy(to_image + to, from_image + from, bytes); });
    });
    x = dense;
  }
  if (g.c > 1 && pixels > 1 && f.channels_first(true) != g.x_nchw) {
    float* turned = blocks.take(f.image_floats());
    transpose(g.n, g.x_nchw ? g.c : pixels, g.x_nchw ? pixels : g.c, x, turned);
    x = turned;
  }
  return f.kind == Fold::Kind::gather ? gathered(f, x, blocks) : x;
}

float* image_target(const Fold& f, float* dx, Blocks& blocks) {
  if (f.kind == Fold::Kind::gather) return blocks.take(f.gathered_floats());
  const bool turns = f.outer.c > 1 && f.seen.rows * f.seen.cols > 1 && f.channels_first(false);
  return turns || !f.sees_all() ? blocks.take(f.image_floats()) : dx;
}

void unfold_image(const Fold& f, const float* target, float* dx, Blocks& blocks) {
  if (target == dx) return;
  if (f.kind == Fold::Kind::gather) return scatter(f, target, dx);
  const Conv2d& g = f.outer;
  const int64_t pixels = f.seen.rows * f.seen.cols;
  if (g.c > 1 && pixels > 1 && f.channels_first(false)) {
    float* turned = f.sees_all() ? dx : blocks.take(f.image_floats());
    transpose(g.n, g.c, pixels, target, turned);
    target = turned;
  }
  if (f.sees_all()) return;
  const Window window = window_of(f, false);
  parallel(g.n, [&](int64_t n) {
    const float* from_image = target + n * g.c * pixels;
    float* to_image = dx + n * g.c * g.h * g.w;
    std::memset(to_image, 0, g.c * g.h * g.w * sizeof(float));
    window.each_run(
        [&](int64_t to, int64_t from, int64_t bytes) { std::memcpy(to_image + to, from_image + from, bytes); });
  });
}

}  // namespace fastnn

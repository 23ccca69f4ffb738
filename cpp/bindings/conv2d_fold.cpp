#include "conv2d_fold.h"

#include <algorithm>
#include <cstring>

#include "threads.h"

namespace fastnn {
namespace {

constexpr int64_t kFewPixels = 13;  // fewer than the rows of the tallest tile

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
  launch(kernels().transpose, Transpose{n, rows, cols, x, y});
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

}  // namespace

bool Fold::channels_first(bool of_x) const {
  if (kind == Kind::product && g.kh * g.kw > 1) return true;
  return of_x && outer.x_nchw &&
         (kind == Kind::whole || seen.cols * seen.rows == 1 || (kind == Kind::column && kw == 1));
}

void Fold::add_to(PackKey& key) const {
  key.insert(key.end(), {static_cast<int64_t>(kind), first_y, first_x, outer.kh, outer.kw});
}

Fold fold_of(const Conv2d& g, bool products) {
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
  if (f.kind != Fold::Kind::column || f.kw == 1) return weight;
  float* turned = blocks.take(f.weight_floats());
  transpose(f.outer.k, f.weight_floats() / f.outer.k / f.kw, f.kw, weight, turned);  // (k, c kh, kw) -> (k, kw, c kh)
  return turned;
}

float* weight_target(const Fold& f, float* dw, Blocks& blocks) {
  const bool turns = f.kind == Fold::Kind::column && f.kw > 1;
  return f.crops() || turns ? blocks.take(f.weight_floats()) : dw;
}

void unfold_weight(const Fold& f, const float* target, float* dw, Blocks& blocks) {
  if (target == dw) return;
  if (f.kind == Fold::Kind::column && f.kw > 1) {
    float* turned = f.crops() ? blocks.take(f.weight_floats()) : dw;
    transpose(f.outer.k, f.kw, f.weight_floats() / f.outer.k / f.kw, target, turned);
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
  if (g.c == 1 || pixels == 1 || f.channels_first(true) == g.x_nchw) return x;
  float* turned = blocks.take(f.image_floats());
  if (g.x_nchw)
    transpose(g.n, g.c, pixels, x, turned);
  else
    transpose(g.n, pixels, g.c, x, turned);
  return turned;
}

float* image_target(const Fold& f, float* dx, Blocks& blocks) {
  const bool turns = f.outer.c > 1 && f.seen.rows * f.seen.cols > 1 && f.channels_first(false);
  return turns || !f.sees_all() ? blocks.take(f.image_floats()) : dx;
}

void unfold_image(const Fold& f, const float* target, float* dx, Blocks& blocks) {
  if (target == dx) return;
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

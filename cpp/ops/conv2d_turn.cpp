// The arrays of a fold, turned into those that the kernels have, and back.
#include <algorithm>
#include <cstring>

#include "contract/gemm.h"
#include "ops/conv2d_fold.h"
#include "runtime/isa.h"
#include "runtime/launch.h"

namespace fastnn {
namespace {

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

void gather(const Fold& f, const float* x, float* all) {
  const int64_t image = f.outer.h * f.outer.w * f.outer.c, rows = f.gathered_floats() / f.outer.n;
  parallel(f.outer.n, [&](int64_t n) {
    each_seen(f, [&](int64_t from, int64_t to, int64_t before, int64_t floats, int64_t length) {
      float* row = all + n * rows + to;
      std::fill(row, row + before, 0.0f);
      if (floats) std::memcpy(row + before, x + n * image + from, floats * sizeof(float));
      std::fill(row + before + floats, row + length, 0.0f);
    });
  });
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

// Some channels of some pixels lie in another order: of x, or of dx.
bool turns_image(const Fold& f, bool turns) { return f.outer.c > 1 && f.seen.rows * f.seen.cols > 1 && turns; }
bool turns_x(const Fold& f) { return turns_image(f, f.channels_first(true) != f.outer.x_nchw); }
bool turns_dx(const Fold& f) { return turns_image(f, f.channels_first(false)); }

// The filters that are left.
Window taps_of(const Fold& f) {
  const int64_t filters = f.outer.k * (f.outer.c / f.outer.groups);
  return {{f.first_y, f.first_x, f.kh, f.kw, 1, 1}, filters, f.outer.kh, f.outer.kw, 1};
}

}  // namespace

int64_t weight_room(const Fold& f) {
  return ((f.crops() ? 1 : 0) + (f.leading_taps() > 1 ? 1 : 0)) * f.weight_floats();
}

int64_t image_room(const Fold& f) {
  if (f.kind == Fold::Kind::whole) return 0;
  const int64_t images = (f.sees_all() ? 0 : 1) + (turns_x(f) ? 1 : 0);
  return (f.kind == Fold::Kind::gather ? f.gathered_floats() : 0) + images * f.image_floats();
}

int64_t gradient_room(const Fold& f) {
  if (f.kind == Fold::Kind::gather) return f.gathered_floats();
  return ((f.sees_all() ? 0 : 1) + (turns_dx(f) ? 1 : 0)) * f.image_floats();
}

void fold_weight(const Fold& f, const float* weight, float* room) {
  const int64_t taps = f.leading_taps();
  if (f.crops()) {
    float* cropped = taps > 1 ? room + f.weight_floats() : room;
    taps_of(f).each_run(
        [&](int64_t from, int64_t to, int64_t bytes) { std::memcpy(cropped + to, weight + from, bytes); });
    weight = cropped;
  }
  if (taps > 1) transpose(f.outer.k, f.weight_floats() / f.outer.k / taps, taps, weight, room);
}

void unfold_weight(const Fold& f, float* room, float* dw) {
  if (weight_room(f) == 0) return;
  const float* target = room;
  if (const int64_t taps = f.leading_taps(); taps > 1) {
    float* turned = f.crops() ? room + f.weight_floats() : dw;
    transpose(f.outer.k, taps, f.weight_floats() / f.outer.k / taps, target, turned);
    target = turned;
  }
  if (!f.crops()) return;
  std::memset(dw, 0, f.outer.k * (f.outer.c / f.outer.groups) * f.outer.kh * f.outer.kw * sizeof(float));
  taps_of(f).each_run([&](int64_t to, int64_t from, int64_t bytes) { std::memcpy(dw + to, target + from, bytes); });
}

void fold_image(const Fold& f, const float* x, float* room) {
  if (image_room(f) == 0) return;
  const Conv2d& g = f.outer;
  const int64_t pixels = f.seen.rows * f.seen.cols;
  const bool turns = turns_x(f), gathers = f.kind == Fold::Kind::gather;
  float* next = room + (gathers ? f.gathered_floats() : 0);  // the last of the steps writes to the front
  if (!f.sees_all()) {
    float* dense = turns ? next + f.image_floats() : next;
    const Window window = window_of(f, g.x_nchw);
    parallel(g.n, [&](int64_t n) {
      const float* from_image = x + n * g.c * g.h * g.w;
      float* to_image = dense + n * g.c * pixels;
      window.each_run(
          [&](int64_t from, int64_t to, int64_t bytes) { std::memcpy(to_image + to, from_image + from, bytes); });
    });
    x = dense;
  }
  if (turns) {
    transpose(g.n, g.x_nchw ? g.c : pixels, g.x_nchw ? pixels : g.c, x, next);
    x = next;
  }
  if (gathers) gather(f, x, room);
}

void unfold_image(const Fold& f, float* room, float* dx) {
  if (gradient_room(f) == 0) return;
  if (f.kind == Fold::Kind::gather) return scatter(f, room, dx);
  const Conv2d& g = f.outer;
  const int64_t pixels = f.seen.rows * f.seen.cols;
  const float* target = room;
  if (turns_dx(f)) {
    float* turned = f.sees_all() ? dx : room + f.image_floats();
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

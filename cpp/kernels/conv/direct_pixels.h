// What the taps of a filter see of x, and of dy beside it, as the tiles of direct_weight.cpp walk over it: images of
// rows of pixels, in place or in a copy with padding or with channels last.
#pragma once
#include "blocks.h"
#include "core/window.h"
#include "geometry.h"
#include "pass.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

inline Window padded_window(const Conv2d& g) {
  return {-g.pad_top, -g.pad_left, extent_of(g.oh, g.stride_h, g.dilation_h, g.kh),
          extent_of(g.ow, g.stride_w, g.dilation_w, g.kw)};
}

// Output rows (columns) whose tap sees the image are found like taps: positions `stride` apart.
inline Range seen_rows(const Conv2d& g, int64_t ky) {
  const int64_t at = ky * g.dilation_h - g.pad_top;
  return taps_inside(at, at, g.stride_h, g.oh, 0, g.h);
}
inline Range seen_cols(const Conv2d& g, int64_t kx) {
  const int64_t at = kx * g.dilation_w - g.pad_left;
  return taps_inside(at, at, g.stride_w, g.ow, 0, g.w);
}

// Whether the taps of a row go one by one: where they are no neighbours in memory; and where a tenth of the pixels they
// see is padding, which only a single tap can leave out, and the channels fill a tile. Then nothing needs padding.
inline bool taps_apart(const Conv2d& g) {
  if (g.dilation_w * g.c != g.c / g.groups) return true;
  if (g.c < kMaxRows) return false;
  int64_t seen = 0;
  for (int64_t kx = 0; kx < g.kw; ++kx) seen += seen_cols(g, kx).last - seen_cols(g, kx).first;
  return 10 * seen < 9 * g.kw * g.ow;
}

inline Window source_window(const Conv2d& g) { return taps_apart(g) ? Window{0, 0, g.h, g.w} : padded_window(g); }
inline bool copies(const Conv2d& g) { return taps_apart(g) ? g.x_nchw && g.c > 1 : !reads_in_place(g); }

// Images whose pixels stay in cache while the tiles of dw pass over them; more of it where dw, which is read and
// written once for so many images, is large itself.
inline int64_t images_together(const Conv2d& g) {
  const Window win = source_window(g);
  const int64_t room = max64(kScratchFloats, min64(4 * kScratchFloats, g.k * (g.c / g.groups) * g.kh * g.kw));
  return max64(1, room / max64(1, win.rows * win.cols * g.c + g.oh * g.ow * g.k));
}

// Images as the tiles read them: in place, or their copies in scratch.
struct Source {
  const float *x, *dy;
  int64_t images, image, row;  // floats from one image (row) to the next
  int64_t y, col;              // of the image's pixel at x
  bool first;                  // of their chunk: dw is not read
};

inline Source source_of(const Conv2dBackwardWeight& a, int64_t n, int64_t images, bool first, float* scratch) {
  const Conv2d& g = a.g;
  const float* x = a.x + n * g.h * g.w * g.c;
  const float* dy = a.dy + n * g.oh * g.ow * g.k;
  if (!copies(g)) return {x, dy, images, g.h * g.w * g.c, g.w * g.c, 0, 0, first};
  const Window win = source_window(g);
  const int64_t row = win.cols * g.c, image = win.rows * row;
  for (int64_t i = 0; i < images; ++i)
    copy_window(x + i * g.h * g.w * g.c, g.h, g.w, g.c, g.x_nchw, win, scratch + i * image);
  return {scratch, dy, images, image, row, win.y, win.x, first};
}

// What a tap sees, or a row of taps: images of rows of pixels, in x and in dy. What lies in one line is one row.
struct Pixels {
  const float *x, *dy;
  int64_t images, rows, cols;
  int64_t x_image, x_row, x_pixel, dy_image, dy_row, dy_pixel;
};

inline Pixels pixels_of(const Conv2d& g, const Source& s, int64_t ky, int64_t kx, bool joined) {
  const Range rows = seen_rows(g, ky), cols = joined ? Range{0, g.ow} : seen_cols(g, kx);
  const int64_t y = rows.first * g.stride_h + ky * g.dilation_h - g.pad_top - s.y;
  const int64_t x = cols.first * g.stride_w + kx * g.dilation_w - g.pad_left - s.col;
  Pixels p{s.x + y * s.row + x * g.c,
           s.dy + (rows.first * g.ow + cols.first) * g.k,
           s.images,
           rows.last - rows.first,
           cols.last - cols.first,
           s.image,
           g.stride_h * s.row,
           g.stride_w * g.c,
           g.oh * g.ow * g.k,
           g.ow * g.k,
           g.k};
  if (p.rows == 0 || p.cols == 0) return Pixels{};
  if (p.cols == g.ow && (p.rows == 1 || p.x_row == p.cols * p.x_pixel)) {
    const bool all = p.rows == g.oh && p.x_image == p.rows * p.cols * p.x_pixel;
    p.cols *= p.rows, p.rows = 1;
    if (all) p.cols *= p.images, p.images = 1;
  }
  return p;
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

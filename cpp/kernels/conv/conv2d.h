// What the files of conv2d share: the choice of algorithm and the shape of a forward window.
#pragma once
#include "contract/conv.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {

namespace {

// One filter per channel, or groups of few channels, as many out as in, or several filters per channel: vectors run
// over the channels of several groups, there is nothing to multiply as matrices. More than half a vector of channels
// fills the tiles of matrices as well.
inline bool conv2d_is_depthwise(const Conv2d& g) {
  if (g.groups < 2 || g.c == 0 || g.k == 0) return false;
  if (g.k != g.c && g.c != g.groups) return false;
  return g.k == g.groups || (kPermutes && 2 * max64(g.c, g.k) <= kLanes * g.groups);
}
// Channels of x in a vector: whole groups, so that those of y fit one as well.
inline int64_t conv2d_span(const Conv2d& g) {
  const int64_t depth = g.c / g.groups;
  return kLanes / max64(depth, g.k / g.groups) * depth;
}
inline int64_t conv2d_spans(const Conv2d& g) { return g.c == 0 ? 0 : ceil_div(g.c, conv2d_span(g)); }

// Source rows (columns) that `n` output rows (columns) see.
inline int64_t conv2d_extent(int64_t n, int64_t stride, int64_t dilation, int64_t taps) {
  return n == 0 ? 0 : (n - 1) * stride + dilation * (taps - 1) + 1;
}

// Outputs along a side of Winograd's tiles, from the shape of one sample and of the filters only; 0: not by Winograd.
// It needs channels to fill vectors, and tiles that do not hang over the image too far (16 of 25 outputs wanted at
// 5x5). F(4x4, 3x3) needs transformed filters, four times the weights, that stay in L3 unless many tiles share them.
// Where these are too large, F(2x2, 3x3) has less than half of them.
inline int64_t conv2d_winograd_side(const Conv2d& g) {
  if (g.direct || g.kh != 3 || g.kw != 3 || g.stride_h != 1 || g.stride_w != 1 || g.dilation_h != 1 ||
      g.dilation_w != 1 || g.groups != 1 || g.c < 16 || g.k < 16)
    return 0;
  const auto tiles = [&](int64_t side) { return ceil_div(g.oh, side) * ceil_div(g.ow, side); };
  const auto fits = [&](int64_t side) { return 5 * g.oh * g.ow >= 3 * side * side * tiles(side); };
  if (g.c * g.k <= 256 * 256 || tiles(4) >= 64) return fits(4) ? 4 : 0;
  return fits(2) ? 2 : 0;
}

// Output channels that would fill less than half a vector leave the lanes to something else: to the channels of the
// source where these fill vectors (conv2d_dot.h), or to pixels (conv2d_planar.h), if the padding between rows, `halo`
// pixels that are computed for nothing, does not eat the gain.
inline bool conv2d_prefers_dots(int64_t outputs, int64_t depth) {
  return 2 * outputs <= kLanes && depth > 0 && depth % kLanes == 0;
}
inline bool conv2d_prefers_planes(int64_t outputs, int64_t cols, int64_t halo) {
  return 2 * outputs <= kLanes && outputs * (cols + halo) <= kLanes * cols;
}
// In the input gradient a row of taps may fill one vector or two, to three quarters at least, or half where there is
// one channel: with pixels as lanes, each multiply-add of a single channel reads a vector of its own.
inline bool conv2d_prefers_spread(const Conv2d& g) {
  const int64_t floats = g.kw * g.c;
  return g.groups == 1 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_w == 1 && 2 * g.c <= kLanes && g.c > 0 &&
         floats <= 2 * kLanes && 4 * floats >= (g.c == 1 ? 2 : 3) * ceil_div(floats, kLanes) * kLanes;
}
// In the gradient of the filters, rows of pixels are filled up to whole vectors.
inline bool conv2d_weight_prefers_planes(const Conv2d& g) {
  return g.groups == 1 && g.stride_h == 1 && g.stride_w == 1 && 2 * g.k <= kLanes &&
         4 * g.k * ceil_div(g.ow, kLanes) <= 3 * g.ow;
}

// The algorithms, from the shape of one sample and of the filters only.
inline Conv2dAlgorithm conv2d_winograd_algorithm(const Conv2d& g) {
  return conv2d_winograd_side(g) == 4 ? Conv2dAlgorithm::winograd4 : Conv2dAlgorithm::winograd2;
}
inline Conv2dAlgorithm conv2d_lanewise(const Conv2d& g) {
  return g.k == g.groups ? Conv2dAlgorithm::depthwise : Conv2dAlgorithm::grouped;
}
inline Conv2dAlgorithm conv2d_algorithm(const Conv2d& g) {
  if (conv2d_is_depthwise(g)) return conv2d_lanewise(g);
  if (conv2d_winograd_side(g)) return conv2d_winograd_algorithm(g);
  if (g.groups == 1 && conv2d_prefers_dots(g.k, g.c)) return Conv2dAlgorithm::dot;
  if (g.groups == 1 && g.stride_h == 1 && g.stride_w == 1 &&
      conv2d_prefers_planes(g.k, g.ow, (g.kw - 1) * g.dilation_w))
    return Conv2dAlgorithm::planar;
  return Conv2dAlgorithm::direct;
}
inline Conv2dAlgorithm conv2d_input_algorithm(const Conv2d& g) {
  if (conv2d_is_depthwise(g)) return conv2d_lanewise(g);
  if (conv2d_winograd_side(g)) return conv2d_winograd_algorithm(g);
  if (conv2d_prefers_spread(g)) return Conv2dAlgorithm::spread;
  if (g.groups == 1 && conv2d_prefers_dots(g.c, g.k)) return Conv2dAlgorithm::dot;
  if (g.groups == 1 &&  // the phases of a stride move by one pixel
      conv2d_prefers_planes(g.c, ceil_div(g.w, g.stride_w), (g.kw - 1) * g.dilation_w / g.stride_w + 1))
    return Conv2dAlgorithm::planar;
  return Conv2dAlgorithm::direct;
}
inline Conv2dAlgorithm conv2d_weight_algorithm(const Conv2d& g) {
  if (conv2d_is_depthwise(g)) return conv2d_lanewise(g);
  if (conv2d_winograd_side(g) == 4) return Conv2dAlgorithm::winograd4;
  return conv2d_weight_prefers_planes(g) ? Conv2dAlgorithm::planar : Conv2dAlgorithm::direct;
}

// Whether a kernel can read x in place: channels-last, and no tap falls outside the image.
inline bool conv2d_reads_in_place(const Conv2d& g) {
  return (!g.x_nchw || g.c == 1) && g.pad_top == 0 && g.pad_left == 0 &&
         conv2d_extent(g.oh, g.stride_h, g.dilation_h, g.kh) <= g.h &&
         conv2d_extent(g.ow, g.stride_w, g.dilation_w, g.kw) <= g.w;
}

}  // namespace

// conv2d_winograd.cpp: forward and backward_input where conv2d_winograd_side is not 0.
int64_t winograd_workspace(const Conv2d&);
int64_t winograd_pack_tasks(const Conv2d&);
void winograd_pack(const Conv2dForward&, int64_t begin, int64_t end);
int64_t winograd_tasks(const Conv2dForward&);
int64_t winograd_scratch(const Conv2dForward&);
void winograd_run(const Conv2dForward&, int64_t begin, int64_t end, float* scratch);
int64_t winograd_input_workspace(const Conv2d&);
int64_t winograd_input_pack_tasks(const Conv2d&);
void winograd_input_pack(const Conv2dBackwardInput&, int64_t begin, int64_t end);
int64_t winograd_input_tasks(const Conv2dBackwardInput&);
int64_t winograd_input_scratch(const Conv2dBackwardInput&);
void winograd_input_run(const Conv2dBackwardInput&, int64_t begin, int64_t end, float* scratch);

// conv2d_winograd_weight.cpp: backward_weight where it is 4.
int64_t winograd_partials(const Conv2d&);
int64_t winograd_partial_tasks(const Conv2d&);
int64_t winograd_partial_scratch(const Conv2d&);
void winograd_partial(const Conv2dBackwardWeight&, int64_t begin, int64_t end, float* scratch);
int64_t winograd_reduce_tasks(const Conv2d&);
void winograd_reduce(const Conv2dBackwardWeight&, int64_t begin, int64_t end);

// conv2d_planar_weight.cpp: backward_weight where it is planar. One image; units `begin` to `end` of dw, tiles of its
// rows in the order of `partial` [ky][kx][c][k]; first: the image starts the sums.
int64_t planar_weight_units(const Conv2d&);
int64_t planar_weight_scratch(const Conv2d&);
void planar_backward_weight(const Conv2dBackwardWeight&, int64_t n, bool first, int64_t begin, int64_t end,
                            float* partial, float* scratch);

// conv2d_depthwise.cpp, conv2d_depthwise_weight.cpp: the same kernels where conv2d_is_depthwise.
int64_t depthwise_workspace(const Conv2d&, bool with_bias);
void depthwise_pack_forward(const Conv2dForward&);
void depthwise_pack_backward(const Conv2dBackwardInput&);
void depthwise_forward(const Conv2dForward&, int64_t n, int64_t first_row, int64_t last_row, float* scratch);
void depthwise_backward_input(const Conv2dBackwardInput&, int64_t n, int64_t first, int64_t last);  // rows of a phase
// Channels c0 .. c0 + channels, whole groups; scratch: channels * (kh * kw * k / groups + (x_nchw ? h * w : 0)) floats.
void depthwise_backward_weight(const Conv2dBackwardWeight&, int64_t first_image, int64_t last_image, int64_t c0,
                               int64_t channels, float* partial, float* scratch);

}  // namespace FASTNN_ISA
}  // namespace fastnn

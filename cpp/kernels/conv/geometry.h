// What the files of this folder ask of a convolution's shape.
#pragma once
#include "contract/conv.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

inline int64_t group_depth(const Conv2d& g) { return g.c / g.groups; }
inline int64_t group_outputs(const Conv2d& g) { return g.k / g.groups; }

// Where lanes are channels (depthwise.cpp): channels of x in a vector, whole groups, so that those of y fit one as
// well; and how many vectors there are.
inline int64_t lane_span(const Conv2d& g) { return kLanes / max64(group_depth(g), group_outputs(g)) * group_depth(g); }
inline int64_t lane_spans(const Conv2d& g) { return g.c == 0 ? 0 : ceil_div(g.c, lane_span(g)); }

// Source rows (columns) that `n` output rows (columns) see.
inline int64_t extent_of(int64_t n, int64_t stride, int64_t dilation, int64_t taps) {
  return n == 0 ? 0 : (n - 1) * stride + dilation * (taps - 1) + 1;
}

// Whether a kernel can read x in place: channels-last, and no tap falls outside the image.
inline bool reads_in_place(const Conv2d& g) {
  return (!g.x_nchw || g.c == 1) && g.pad_top == 0 && g.pad_left == 0 &&
         extent_of(g.oh, g.stride_h, g.dilation_h, g.kh) <= g.h &&
         extent_of(g.ow, g.stride_w, g.dilation_w, g.kw) <= g.w;
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

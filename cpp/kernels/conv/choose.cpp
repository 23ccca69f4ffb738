// Which algorithm computes a convolution: one list for each direction, best first. The first that pays is taken
// (ops/conv2d.cpp); "direct", the last, computes every shape.
#include "algorithms.h"
#include "forward.h"
#include "geometry.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr const char* kDepthwise = "depthwise";
constexpr const char* kDirect = "direct";
constexpr const char* kDot = "direct, source channels as lanes";
constexpr const char* kGrouped = "grouped, channels of several groups as lanes";
constexpr const char* kPlanar = "direct, pixels as lanes";
constexpr const char* kSpread = "direct, channels of a row of taps as lanes";
constexpr const char* kWinograd2 = "Winograd F(2x2, 3x3)";
constexpr const char* kWinograd4 = "Winograd F(4x4, 3x3)";

bool always(const Conv2d&) { return true; }

// One filter per channel: vectors run over channels, there is nothing to multiply as matrices.
bool is_depthwise(const Conv2d& g) { return g.groups >= 2 && g.c == g.groups && g.k == g.groups; }

// Groups of few channels, as many out as in, or several filters per channel: the same, with the channels of several
// groups. More than half a vector of channels fills the tiles of matrices as well.
bool is_grouped(const Conv2d& g) {
  return kPermutes && g.groups >= 2 && g.c > 0 && g.k > g.groups && (g.k == g.c || g.c == g.groups) &&
         max64(g.c, g.k) <= kLanes * g.groups;
}
bool grouped_pays(const Conv2d& g) { return 2 * max64(g.c, g.k) <= kLanes * g.groups; }

// Winograd's needs channels to fill vectors, and tiles that do not hang over the image too far (16 of 25 outputs wanted
// at 5x5). F(4x4, 3x3) needs transformed filters, four times the weights, that stay in L3 unless many tiles share them.
// Where these are too large, F(2x2, 3x3) has less than half of them.
bool is_winograd(const Conv2d& g) {
  return g.kh == 3 && g.kw == 3 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_h == 1 && g.dilation_w == 1 &&
         g.groups == 1 && g.c > 0 && g.k > 0;
}
int64_t winograd_tiles(const Conv2d& g, int64_t side) { return ceil_div(g.oh, side) * ceil_div(g.ow, side); }
bool winograd_pays(const Conv2d& g, int64_t side) {
  const bool fits = 5 * g.oh * g.ow >= 3 * side * side * winograd_tiles(g, side);
  const int64_t best = g.c * g.k <= 256 * 256 || winograd_tiles(g, 4) >= 64 ? 4 : 2;
  return g.c >= 16 && g.k >= 16 && side == best && fits;
}
bool winograd4_pays(const Conv2d& g) { return winograd_pays(g, 4); }
bool winograd2_pays(const Conv2d& g) { return winograd_pays(g, 2); }

// Output channels that would fill less than half a vector leave the lanes to something else: to the channels of the
// source where these fill vectors (dot), or to pixels (planar), if the padding between rows, `halo` pixels that are
// computed for nothing, does not eat the gain.
bool is_dot(int64_t outputs, int64_t depth) { return 2 * outputs <= kLanes && depth > 0 && depth % kLanes == 0; }
bool planar_pays(int64_t outputs, int64_t cols, int64_t halo) { return outputs * (cols + halo) <= kLanes * cols; }

bool is_dot_forward(const Conv2d& g) { return g.groups == 1 && is_dot(g.k, g.c); }
bool is_planar_forward(const Conv2d& g) {
  return g.groups == 1 && g.stride_h == 1 && g.stride_w == 1 && 2 * g.k <= kLanes;
}
bool planar_forward_pays(const Conv2d& g) { return planar_pays(g.k, g.ow, (g.kw - 1) * g.dilation_w); }

bool is_dot_input(const Conv2d& g) { return g.groups == 1 && is_dot(g.c, g.k); }
bool is_planar_input(const Conv2d& g) { return g.groups == 1 && 2 * g.c <= kLanes; }
bool planar_input_pays(const Conv2d& g) {  // the phases of a stride move by one pixel
  return planar_pays(g.c, ceil_div(g.w, g.stride_w), (g.kw - 1) * g.dilation_w / g.stride_w + 1);
}

// In the input gradient a row of taps may fill one vector or two, to three quarters at least, or half where there is
// one channel: with pixels as lanes, each multiply-add of a single channel reads a vector of its own.
bool is_spread(const Conv2d& g) {
  return g.groups == 1 && g.stride_h == 1 && g.stride_w == 1 && g.dilation_w == 1 && g.c > 0 &&
         g.kw * g.c <= 2 * kLanes;
}
bool spread_pays(const Conv2d& g) {
  const int64_t floats = g.kw * g.c;
  return 2 * g.c <= kLanes && 4 * floats >= (g.c == 1 ? 2 : 3) * ceil_div(floats, kLanes) * kLanes;
}

// In the gradient of the filters, rows of pixels are filled up to whole vectors.
bool planar_weight_pays(const Conv2d& g) { return 4 * g.k * ceil_div(g.ow, kLanes) <= 3 * g.ow; }

using Kind = Conv2dKind;

const Conv2dAlgorithm<Conv2dForward> kForward[] = {
    {kDepthwise, is_depthwise, always, Kind::lanes, &depthwise_forward_pack, &depthwise_forward},
    {kGrouped, is_grouped, grouped_pays, Kind::lanes, &depthwise_forward_pack, &depthwise_forward},
    {kWinograd4, is_winograd, winograd4_pays, Kind::winograd, &winograd4_forward_pack, &winograd4_forward},
    {kWinograd2, is_winograd, winograd2_pays, Kind::winograd, &winograd2_forward_pack, &winograd2_forward},
    {kDot, is_dot_forward, always, Kind::lanes, &dot_forward_pack, &dot_forward},
    {kPlanar, is_planar_forward, planar_forward_pays, Kind::sums, &planar_forward_pack, &planar_forward},
    {kDirect, always, always, Kind::sums, &direct_forward_pack, &direct_forward},
};

const Conv2dAlgorithm<Conv2dBackwardInput> kBackwardInput[] = {
    {kDepthwise, is_depthwise, always, Kind::lanes, &depthwise_backward_input_pack, &depthwise_backward_input},
    {kGrouped, is_grouped, grouped_pays, Kind::lanes, &depthwise_backward_input_pack, &depthwise_backward_input},
    {kWinograd4, is_winograd, winograd4_pays, Kind::winograd, &winograd4_backward_input_pack,
     &winograd4_backward_input},
    {kWinograd2, is_winograd, winograd2_pays, Kind::winograd, &winograd2_backward_input_pack,
     &winograd2_backward_input},
    {kSpread, is_spread, spread_pays, Kind::sums, &spread_backward_input_pack, &spread_backward_input},
    {kDot, is_dot_input, always, Kind::phases, &dot_backward_input_pack, &dot_backward_input},
    {kPlanar, is_planar_input, planar_input_pays, Kind::phases, &planar_backward_input_pack, &planar_backward_input},
    {kDirect, always, always, Kind::phases, &direct_backward_input_pack, &direct_backward_input},
};

const Conv2dAlgorithm<Conv2dBackwardWeight> kBackwardWeight[] = {
    {kDepthwise, is_depthwise, always, Kind::lanes, nullptr, &depthwise_backward_weight},
    {kGrouped, is_grouped, grouped_pays, Kind::lanes, nullptr, &depthwise_backward_weight},
    {kWinograd4, is_winograd, winograd4_pays, Kind::winograd, nullptr, &winograd4_backward_weight},
    {kPlanar, is_planar_forward, planar_weight_pays, Kind::sums, nullptr, &planar_backward_weight},
    {kDirect, always, always, Kind::sums, nullptr, &direct_backward_weight},
};

template <class Args, int N>
Conv2dAlgorithms<Args> all_of(const Conv2dAlgorithm<Args> (&list)[N]) {
  return {list, N};
}

}  // namespace

// Of a convolution that no algorithm computes: a task is a row of an image.
int64_t finish_tasks(const Conv2dForward& a) { return a.g.n * a.g.oh; }
void finish_tasks_of(const Conv2dForward& a, int64_t begin, int64_t end, float*) {
  finish_rows(a, a.y + begin * a.g.ow * a.g.k, end - begin, a.g.k);
}

const ConvKernels* conv_kernels() {
  static const ConvKernels table{
      {{{finish_tasks, nullptr, finish_tasks_of}}}, all_of(kForward), all_of(kBackwardInput), all_of(kBackwardWeight)};
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

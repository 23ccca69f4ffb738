#include <atomic>

#include "conv2d_fold.h"
#include "conv2d_product.h"
#include "packed.h"

namespace fastnn {
namespace {

// "direct" keeps Winograd's algorithm away, for results with the rounding of a plain sum.
std::atomic<bool> direct_only{false};

using Pair = std::array<int64_t, 2>;
using Sides = std::array<int64_t, 4>;  // top, bottom, left, right

// Number of window positions; every sum and product is checked, so no later index can overflow. Where only one position
// fits, `stride` becomes the smallest that says so: loops over the phases of a stride then end.
int64_t positions(int64_t size, int64_t taps, int64_t& stride, int64_t dilation, int64_t before, int64_t after,
                  const char* op) {
  require(taps >= 1 && stride >= 1 && dilation >= 1 && before >= 0 && after >= 0, op,
          "kernel, stride and dilation must be at least 1 and padding at least 0");
  const int64_t extent = checked_add(checked_mul(dilation, taps - 1), 1);
  const int64_t padded = checked_add(checked_add(size, before), after);
  require(padded >= extent, op,
          "padded input of size " + std::to_string(padded) + " is smaller than the kernel, which spans " +
              std::to_string(extent));
  if (stride > padded - extent) stride = padded - extent + 1;
  checked_add(padded, checked_mul(stride, 2));
  return (padded - extent) / stride + 1;
}

Conv2d geometry(const Shape& x, const Shape& weight, const Pair& stride, const Sides& padding, const Pair& dilation,
                int64_t groups, const char* op) {
  require(groups >= 1 && weight[0] % groups == 0 && x[1] == checked_mul(weight[1], groups), op,
          "x " + shape_text(x) + ", weight " + shape_text(weight) + " and groups " + std::to_string(groups) +
              " do not match");
  Conv2d g{};
  g.n = x[0], g.c = x[1], g.h = x[2], g.w = x[3];
  g.k = weight[0], g.kh = weight[2], g.kw = weight[3];
  g.stride_h = stride[0], g.stride_w = stride[1];
  g.dilation_h = dilation[0], g.dilation_w = dilation[1];
  g.groups = groups;
  g.direct = direct_only;
  g.pad_top = padding[0], g.pad_left = padding[2];
  g.oh = positions(g.h, g.kh, g.stride_h, g.dilation_h, padding[0], padding[1], op);
  g.ow = positions(g.w, g.kw, g.stride_w, g.dilation_w, padding[2], padding[3], op);
  // Windows and workspaces of the kernels: each fits in 62 bits when these products do.
  const int64_t padded =
      checked_mul(checked_add(g.h, padding[0] + padding[1]), checked_add(g.w, padding[2] + padding[3]));
  checked_mul(checked_mul(padded, checked_add(g.c, g.k)), 64);
  checked_mul(checked_mul(checked_mul(g.oh, g.ow), g.k), 64);
  return g;
}

void set_layout(Conv2d& g, const F32& x, const char* op) {
  g.x_nchw = !is_channels_last(x);
  if (g.x_nchw) require_contiguous(x, op, "x");
}

// A 1x1 convolution sees no neighbours: rows too short for the tiles of the kernels are joined, as many as divide h.
void join_rows(Conv2d& g) {
  constexpr int64_t kLongEnough = 28;  // two of the tallest tiles
  if (g.kh != 1 || g.kw != 1 || g.stride_h != 1 || g.stride_w != 1 || g.pad_top || g.pad_left || g.oh != g.h ||
      g.ow != g.w || g.w == 0)
    return;
  int64_t joined = std::min(g.h, kLongEnough / g.w + (kLongEnough % g.w != 0));
  while (joined > 1 && joined < g.h && g.h % joined) ++joined;
  if (joined <= 1) return;
  g.h = g.oh = g.h / joined;
  g.w = g.ow = g.w * joined;
}

// What the packed filters depend on beside their bits; backward_input adds the phases of its stride.
PackKey pack_key(const Fold& fold, Conv2dAlgorithm algorithm) {
  const Conv2d& g = fold.g;
  PackKey key{static_cast<int64_t>(algorithm), g.k, g.c, g.kh, g.kw, g.groups};
  fold.add_to(key);
  return key;
}

// Where the lanes are channels of groups there is nothing to multiply as a matrix; where they are channels of x, its
// pixels need not be turned.
bool product_pays(Conv2dAlgorithm algorithm) {
  return algorithm != Conv2dAlgorithm::depthwise && algorithm != Conv2dAlgorithm::grouped &&
         algorithm != Conv2dAlgorithm::dot;
}
Fold forward_fold(const Conv2d& g) {
  Fold fold = fold_of(g, product_pays(kernels().conv->conv2d_forward_algorithm(g)), true);
  if (!fold.is_product()) join_rows(fold.g);
  return fold;
}
Fold weight_fold(const Conv2d& g) {
  const Conv2dAlgorithm algorithm = kernels().conv->conv2d_backward_weight_algorithm(g);
  Fold fold = fold_of(g, product_pays(algorithm) || (algorithm == Conv2dAlgorithm::grouped && g.c > g.groups), true);
  if (!fold.is_product()) join_rows(fold.g);
  return fold;
}
// Pixels that meet one output along an axis: each is a phase of its own, so that no padding stands for the others.
Fold input_fold(const Conv2d& g) {
  const Conv2dAlgorithm lanes = kernels().conv->conv2d_backward_input_algorithm(g);
  const bool sparse = 2 * g.w > 3 * g.stride_w * g.ow;  // most pixels of a row of dx meet padding
  Fold fold = fold_of(g, product_pays(lanes) || lanes == Conv2dAlgorithm::dot, sparse);
  if (fold.is_product()) return fold;
  join_rows(fold.g);
  Conv2d& inner = fold.g;
  const Conv2dAlgorithm algorithm = kernels().conv->conv2d_backward_input_algorithm(inner);
  if (!product_pays(algorithm) && algorithm != Conv2dAlgorithm::dot) return fold;
  if (algorithm == Conv2dAlgorithm::spread) return fold;
  if (inner.oh == 1 && inner.kh > 1) inner.stride_h = inner.h + inner.pad_top;
  if (inner.ow == 1 && inner.kw > 1) inner.stride_w = inner.w + inner.pad_left;
  return fold;
}

F32 forward(const F32& x, const F32& weight, const std::optional<F32>& bias, const Pair& stride, const Sides& padding,
            const Pair& dilation, int64_t groups) {
  const char* op = "conv2d_forward";
  require_ndim(x, 4, op, "x");
  require_ndim(weight, 4, op, "weight");
  require_contiguous(weight, op, "weight");
  Conv2dForward a{};
  a.g = geometry(shape_of(x), shape_of(weight), stride, padding, dilation, groups, op);
  set_layout(a.g, x, op);
  if (bias) {
    require_shape(*bias, {a.g.k}, op, "bias");
    require_contiguous(*bias, op, "bias");
  }
  F32 y = empty_channels_last(a.g.n, a.g.k, a.g.oh, a.g.ow);
  a.x = x.data(), a.weight = weight.data(), a.bias = data_or_null(bias), a.y = y.mutable_data();
  if (y.size() == 0) return y;
  const Fold fold = forward_fold(a.g);
  if (fold.is_product()) {
    product_forward(fold, a.x, weight, bias, a.y);
    return y;
  }
  a.g = fold.g;
  Blocks blocks;
  const PackKey key = pack_key(fold, kernels().conv->conv2d_forward_algorithm(a.g));
  const py::gil_scoped_release nogil;
  const Packing<Conv2dForward>& pack = kernels().conv->conv2d_forward_pack;
  const Floats start = view(bias);
  const Pack packed = packed_together(weight_view(weight), {&start}, key, pack.floats(a), [&](float* out) {
    a.weight = folded_weight(fold, weight.data(), blocks);
    a.packed = out;
    launch(pack, a, out);
  });
  a.packed = packed->data();
  a.x = folded_image(fold, a.x, blocks);
  launch(kernels().conv->conv2d_forward, a);
  return y;
}

F32 backward_input(const F32& dy, const F32& weight, const Shape& x_shape, const Pair& stride, const Sides& padding,
                   const Pair& dilation, int64_t groups) {
  const char* op = "conv2d_backward_input";
  require_ndim(weight, 4, op, "weight");
  require_contiguous(weight, op, "weight");
  require(x_shape.size() == 4, op, "x_shape " + shape_text(x_shape) + " must have 4 entries");
  Conv2dBackwardInput a{};
  a.g = geometry(x_shape, shape_of(weight), stride, padding, dilation, groups, op);
  require_shape(dy, {a.g.n, a.g.k, a.g.oh, a.g.ow}, op, "dy");
  require_channels_last(dy, op, "dy");
  F32 dx = empty_channels_last(a.g.n, a.g.c, a.g.h, a.g.w);
  a.dy = dy.data(), a.weight = weight.data(), a.dx = dx.mutable_data();
  if (dx.size() == 0) return dx;
  const Fold fold = input_fold(a.g);
  if (fold.is_product()) {
    product_backward_input(fold, a.dy, weight, a.dx);
    return dx;
  }
  a.g = fold.g;
  Blocks blocks;
  PackKey key = pack_key(fold, kernels().conv->conv2d_backward_input_algorithm(a.g));
  key.insert(key.end(), {1, a.g.stride_h, a.g.stride_w, std::min(a.g.stride_h, a.g.h), std::min(a.g.stride_w, a.g.w),
                         a.g.dilation_h, a.g.dilation_w, a.g.pad_top, a.g.pad_left});
  const py::gil_scoped_release nogil;
  const Packing<Conv2dBackwardInput>& pack = kernels().conv->conv2d_backward_input_pack;
  const Pack packed = packed_together(weight_view(weight), {}, key, pack.floats(a), [&](float* out) {
    a.weight = folded_weight(fold, weight.data(), blocks);
    a.packed = out;
    launch(pack, a, out);
  });
  a.packed = packed->data();
  a.dx = image_target(fold, dx.mutable_data(), blocks);
  launch(kernels().conv->conv2d_backward_input, a);
  unfold_image(fold, a.dx, dx.mutable_data(), blocks);
  return dx;
}

// Without the GIL.
void sum_weight(const Fold& fold, Conv2dBackwardWeight a, float* dw) {
  Blocks blocks;
  a.g = fold.g;
  a.x = folded_image(fold, a.x, blocks);
  a.dw = weight_target(fold, dw, blocks);
  launch(kernels().conv->conv2d_backward_weight, a);
  unfold_weight(fold, a.dw, dw, blocks);
}

F32 backward_weight(const F32& x, const F32& dy, const Shape& weight_shape, const Pair& stride, const Sides& padding,
                    const Pair& dilation, int64_t groups) {
  const char* op = "conv2d_backward_weight";
  require_ndim(x, 4, op, "x");
  require(weight_shape.size() == 4, op, "weight_shape " + shape_text(weight_shape) + " must have 4 entries");
  Conv2dBackwardWeight a{};
  a.g = geometry(shape_of(x), weight_shape, stride, padding, dilation, groups, op);
  set_layout(a.g, x, op);
  require_shape(dy, {a.g.n, a.g.k, a.g.oh, a.g.ow}, op, "dy");
  require_channels_last(dy, op, "dy");
  F32 dw = empty(weight_shape);
  a.x = x.data(), a.dy = dy.data(), a.dw = dw.mutable_data();
  float* to = dw.mutable_data();
  const Fold fold = weight_fold(a.g);
  {
    const py::gil_scoped_release nogil;
    if (fold.is_product())
      product_backward_weight(fold, a.x, a.dy, to);
    else
      sum_weight(fold, a, to);
  }
  return dw;
}

const char* algorithm_name(Conv2dAlgorithm algorithm) {
  switch (algorithm) {
    case Conv2dAlgorithm::depthwise:
      return "depthwise";
    case Conv2dAlgorithm::direct:
      return "direct";
    case Conv2dAlgorithm::dot:
      return "direct, source channels as lanes";
    case Conv2dAlgorithm::grouped:
      return "grouped, channels of several groups as lanes";
    case Conv2dAlgorithm::planar:
      return "direct, pixels as lanes";
    case Conv2dAlgorithm::spread:
      return "direct, channels of a row of taps as lanes";
    case Conv2dAlgorithm::winograd2:
      return "Winograd F(2x2, 3x3)";
    case Conv2dAlgorithm::winograd4:
      return "Winograd F(4x4, 3x3)";
  }
  return "";
}

// (of forward, backward_input, backward_weight)
std::array<const char*, 3> algorithms(const Shape& x_shape, const Shape& weight_shape, const Pair& stride,
                                      const Sides& padding, const Pair& dilation, int64_t groups) {
  require(x_shape.size() == 4 && weight_shape.size() == 4, "conv2d_algorithms", "shapes must have 4 entries");
  const Conv2d g = geometry(x_shape, weight_shape, stride, padding, dilation, groups, "conv2d_algorithms");
  const ConvKernels& k = *kernels().conv;
  const auto name = [](const Fold& fold, auto algorithm) {
    return fold.is_product() ? "product" : algorithm_name(algorithm(fold.g));
  };
  return {name(forward_fold(g), k.conv2d_forward_algorithm), name(input_fold(g), k.conv2d_backward_input_algorithm),
          name(weight_fold(g), k.conv2d_backward_weight_algorithm)};
}

}  // namespace

void bind_conv2d(py::module_& m) {
  m.def("conv2d_algorithms", &algorithms, "x_shape"_a, "weight_shape"_a, "stride"_a, "padding"_a, "dilation"_a,
        "groups"_a);
  m.def("set_conv2d_direct", [](bool direct) { direct_only = direct; }, "direct"_a);
  m.def("get_conv2d_direct", [] { return direct_only.load(); });
  m.def("conv2d_forward", &forward, "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(), "stride"_a,
        "padding"_a, "dilation"_a, "groups"_a);
  m.def("conv2d_backward_input", &backward_input, "dy"_a.noconvert(), "weight"_a.noconvert(), "x_shape"_a, "stride"_a,
        "padding"_a, "dilation"_a, "groups"_a);
  m.def("conv2d_backward_weight", &backward_weight, "x"_a.noconvert(), "dy"_a.noconvert(), "weight_shape"_a, "stride"_a,
        "padding"_a, "dilation"_a, "groups"_a);
}

}  // namespace fastnn

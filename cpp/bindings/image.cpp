// Ops on images, (N, C, H, W): convolutions.
#include <array>
#include <string>

#include "arrays.h"
#include "ops/conv2d.h"
#include "packed.h"

namespace fastnn {
namespace {

using Pair = std::array<int64_t, 2>;
using Sides = std::array<int64_t, 4>;  // top, bottom, left, right
using Name = std::optional<std::string>;

std::array<int64_t, 4> four_of(const Shape& shape, const char* op, const char* name) {
  require(shape.size() == 4, op, std::string(name) + " " + shape_text(shape) + " must have 4 entries");
  return {shape[0], shape[1], shape[2], shape[3]};
}

Conv2d geometry(const Shape& x, const Shape& weight, const Pair& stride, const Sides& padding, const Pair& dilation,
                int64_t groups, const Name& algorithm, const char* op) {
  const char* name = algorithm ? algorithm->c_str() : nullptr;
  return conv2d_geometry(four_of(x, op, "x_shape"), four_of(weight, op, "weight_shape"),
                         {stride, padding, dilation, groups, name}, op);
}

void require_image(const F32& x, const char* op) {
  if (!is_channels_last(x)) require_contiguous(x, op, "x");
}

F32 forward(const F32& x, const F32& weight, const std::optional<F32>& bias, const Pair& stride, const Sides& padding,
            const Pair& dilation, int64_t groups, const Name& algorithm) {
  const char* op = "conv2d_forward";
  require_ndim(x, 4, op, "x");
  require_ndim(weight, 4, op, "weight");
  require_contiguous(weight, op, "weight");
  const Conv2d g = geometry(shape_of(x), shape_of(weight), stride, padding, dilation, groups, algorithm, op);
  require_image(x, op);
  if (bias) {
    require_shape(*bias, {g.k}, op, "bias");
    require_contiguous(*bias, op, "bias");
  }
  F32 y = empty_channels_last(g.n, g.k, g.oh, g.ow);
  const Output to = output(y);
  const py::gil_scoped_release nogil;
  Steps steps;
  conv2d_forward(steps, g, view(x), weight_view(weight), view(bias), to);
  return y;
}

F32 backward_input(const F32& dy, const F32& weight, const Shape& x_shape, const Pair& stride, const Sides& padding,
                   const Pair& dilation, int64_t groups, const Name& algorithm) {
  const char* op = "conv2d_backward_input";
  require_ndim(weight, 4, op, "weight");
  require_contiguous(weight, op, "weight");
  const Conv2d g = geometry(x_shape, shape_of(weight), stride, padding, dilation, groups, algorithm, op);
  require_shape(dy, {g.n, g.k, g.oh, g.ow}, op, "dy");
  require_channels_last(dy, op, "dy");
  F32 dx = empty_channels_last(g.n, g.c, g.h, g.w);
  const Output to = output(dx);
  const py::gil_scoped_release nogil;
  Steps steps;
  conv2d_backward_input(steps, g, view(dy), weight_view(weight), to);
  return dx;
}

F32 backward_weight(const F32& x, const F32& dy, const Shape& weight_shape, const Pair& stride, const Sides& padding,
                    const Pair& dilation, int64_t groups, const Name& algorithm) {
  const char* op = "conv2d_backward_weight";
  require_ndim(x, 4, op, "x");
  const Conv2d g = geometry(shape_of(x), weight_shape, stride, padding, dilation, groups, algorithm, op);
  require_image(x, op);
  require_shape(dy, {g.n, g.k, g.oh, g.ow}, op, "dy");
  require_channels_last(dy, op, "dy");
  F32 dw = empty(weight_shape);
  const Output to = output(dw);
  const py::gil_scoped_release nogil;
  Steps steps;
  conv2d_backward_weight(steps, g, view(x), view(dy), to);
  return dw;
}

// (of forward, backward_input, backward_weight)
std::array<const char*, 3> algorithms(const Shape& x_shape, const Shape& weight_shape, const Pair& stride,
                                      const Sides& padding, const Pair& dilation, int64_t groups,
                                      const Name& algorithm) {
  return conv2d_algorithms(
      geometry(x_shape, weight_shape, stride, padding, dilation, groups, algorithm, "conv2d_algorithms"));
}

}  // namespace

void bind_image(py::module_& m) {
  m.def("conv2d_algorithm_names", &conv2d_algorithm_names);
  m.def("conv2d_algorithms", &algorithms, "x_shape"_a, "weight_shape"_a, "stride"_a, "padding"_a, "dilation"_a,
        "groups"_a, "algorithm"_a = py::none());
  m.def("conv2d_forward", &forward, "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(), "stride"_a,
        "padding"_a, "dilation"_a, "groups"_a, "algorithm"_a = py::none());
  m.def("conv2d_backward_input", &backward_input, "dy"_a.noconvert(), "weight"_a.noconvert(), "x_shape"_a, "stride"_a,
        "padding"_a, "dilation"_a, "groups"_a, "algorithm"_a = py::none());
  m.def("conv2d_backward_weight", &backward_weight, "x"_a.noconvert(), "dy"_a.noconvert(), "weight_shape"_a, "stride"_a,
        "padding"_a, "dilation"_a, "groups"_a, "algorithm"_a = py::none());
}

}  // namespace fastnn

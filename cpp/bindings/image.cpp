// Ops on images, (N, C, H, W): convolutions, poolings, batchnorm.
#include <array>
#include <string>
#include <variant>

#include "arrays.h"
#include "ops/avgpool2d.h"
#include "ops/batchnorm.h"
#include "ops/conv2d.h"
#include "ops/maxpool2d.h"
#include "packed.h"

namespace fastnn {
namespace bound {
namespace {

using I32 = py::array_t<int32_t, 0>;

using Sides = std::array<int64_t, 4>;  // top, bottom, left, right
using Name = std::optional<std::string>;

std::array<int64_t, 4> four_of(const Shape& shape, const char* op, const char* name) {
  require(shape.size() == 4, op, [&] { return std::string(name) + " " + shape_text(shape) + " must have 4 entries"; });
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

F32 conv2d_forward(const F32& x, const F32& weight, const std::optional<F32>& bias, const Pair& stride,
                   const Sides& padding, const Pair& dilation, int64_t groups, const Name& algorithm,
                   const std::optional<F32>& residual, bool relu) {
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
  if (residual) {
    require_shape(*residual, {g.n, g.k, g.oh, g.ow}, op, "residual");
    require_channels_last(*residual, op, "residual");
  }
  F32 y = empty_channels_last(g.n, g.k, g.oh, g.ow);
  const Output to = output(y);
  call_op(fastnn::conv2d_forward, g, view(x), weight_view(weight), view(bias), view(residual), relu, to);
  return y;
}

F32 conv2d_backward_input(const F32& dy, const F32& weight, const Shape& x_shape, const Pair& stride,
                          const Sides& padding, const Pair& dilation, int64_t groups, const Name& algorithm) {
  const char* op = "conv2d_backward_input";
  require_ndim(weight, 4, op, "weight");
  require_contiguous(weight, op, "weight");
  const Conv2d g = geometry(x_shape, shape_of(weight), stride, padding, dilation, groups, algorithm, op);
  require_shape(dy, {g.n, g.k, g.oh, g.ow}, op, "dy");
  require_channels_last(dy, op, "dy");
  F32 dx = empty_channels_last(g.n, g.c, g.h, g.w);
  const Output to = output(dx);
  call_op(fastnn::conv2d_backward_input, g, view(dy), weight_view(weight), to);
  return dx;
}

F32 conv2d_backward_weight(const F32& x, const F32& dy, const Shape& weight_shape, const Pair& stride,
                           const Sides& padding, const Pair& dilation, int64_t groups, const Name& algorithm) {
  const char* op = "conv2d_backward_weight";
  require_ndim(x, 4, op, "x");
  const Conv2d g = geometry(shape_of(x), weight_shape, stride, padding, dilation, groups, algorithm, op);
  require_image(x, op);
  require_shape(dy, {g.n, g.k, g.oh, g.ow}, op, "dy");
  require_channels_last(dy, op, "dy");
  F32 dw = empty(weight_shape);
  const Output to = output(dw);
  call_op(fastnn::conv2d_backward_weight, g, view(x), view(dy), to);
  return dw;
}

// (of forward, backward_input, backward_weight), where one name is pinned for all of them, or one for each.
std::array<const char*, 3> conv2d_algorithms(const Shape& x_shape, const Shape& weight_shape, const Pair& stride,
                                             const Sides& padding, const Pair& dilation, int64_t groups,
                                             const std::variant<std::array<Name, 3>, Name>& algorithm) {
  const auto* each = std::get_if<std::array<Name, 3>>(&algorithm);
  std::array<Conv2d, 3> g;
  for (int i = 0; i < 3; ++i)
    g[i] = geometry(x_shape, weight_shape, stride, padding, dilation, groups,
                    each ? (*each)[i] : std::get<Name>(algorithm), "conv2d_algorithms");
  return fastnn::conv2d_algorithms(g);
}

ImageSizes image_sizes(const Shape& x, const char* op) {
  require(x.size() == 4, op, [&] { return "x_shape " + shape_text(x) + " must have 4 entries"; });
  for (const py::ssize_t size : x) require(size >= 0, op, [&] { return "x_shape " + shape_text(x) + " is negative"; });
  return {x[0], x[1], x[2], x[3]};
}

ImageSizes image_sizes(const F32& x, const char* op) {
  require_channels_last(x, op, "x");
  return {x.shape(0), x.shape(1), x.shape(2), x.shape(3)};
}

F32 run_avgpool2d(const F32& x, const AvgPool2d& g) {
  F32 y = empty_channels_last(g.n, g.c, g.rows.count, g.columns.count);
  call_op(fastnn::avgpool2d_forward, g, view(x), output(y));
  return y;
}

F32 run_avgpool2d_backward(const F32& dy, const AvgPool2d& g, const char* op) {
  require_shape(dy, {g.n, g.c, g.rows.count, g.columns.count}, op, "dy");
  require_channels_last(dy, op, "dy");
  F32 dx = empty_channels_last(g.n, g.c, g.rows.size, g.columns.size);
  call_op(fastnn::avgpool2d_backward, g, view(dy), output(dx));
  return dx;
}

F32 avgpool2d_forward(const F32& x, const Pair& kernel, const Pair& stride, const Pair& padding, bool ceil_mode,
                      bool count_include_pad, int64_t divisor_override) {
  const char* op = "avgpool2d_forward";
  const AvgPool2dOptions options{kernel, stride, padding, ceil_mode, count_include_pad, divisor_override};
  return run_avgpool2d(x, avgpool2d_geometry(image_sizes(x, op), options, op));
}

F32 avgpool2d_backward(const F32& dy, const Shape& x_shape, const Pair& kernel, const Pair& stride, const Pair& padding,
                       bool ceil_mode, bool count_include_pad, int64_t divisor_override) {
  const char* op = "avgpool2d_backward";
  const AvgPool2dOptions options{kernel, stride, padding, ceil_mode, count_include_pad, divisor_override};
  return run_avgpool2d_backward(dy, avgpool2d_geometry(image_sizes(x_shape, op), options, op), op);
}

F32 adaptive_avgpool2d_forward(const F32& x, const Pair& output_size) {
  const char* op = "adaptive_avgpool2d_forward";
  return run_avgpool2d(x, adaptive_avgpool2d_geometry(image_sizes(x, op), output_size, op));
}

F32 adaptive_avgpool2d_backward(const F32& dy, const Shape& x_shape) {
  const char* op = "adaptive_avgpool2d_backward";
  const ImageSizes x = image_sizes(x_shape, op);
  require_ndim(dy, 4, op, "dy");
  return run_avgpool2d_backward(dy, adaptive_avgpool2d_geometry(x, {dy.shape(2), dy.shape(3)}, op), op);
}

std::pair<F32, std::optional<py::array>> maxpool2d_forward(const F32& x, const Pair& kernel, const Pair& stride,
                                                           const Pair& padding, const Pair& dilation, bool ceil_mode,
                                                           bool with_index) {
  const char* op = "maxpool2d_forward";
  const MaxPool2d g = maxpool2d_geometry(image_sizes(x, op), {kernel, stride, padding, dilation, ceil_mode}, op);
  F32 y = empty_channels_last(g.n, g.c, g.oh, g.ow);
  std::optional<py::array> index;
  const Shape shape{g.n, g.oh, g.ow, g.c};
  if (with_index && maxpool2d_index_is_byte(g))
    index = empty<uint8_t>(shape);
  else if (with_index)
    index = empty<int32_t>(shape);
  call_op(fastnn::maxpool2d_forward, g, view(x), output(y), index ? index->mutable_data() : nullptr);
  return {y, index};
}

F32 maxpool2d_backward(const F32& dy, const py::array& index, const Shape& x_shape, const Pair& kernel,
                       const Pair& stride, const Pair& padding, const Pair& dilation, bool ceil_mode) {
  const char* op = "maxpool2d_backward";
  const MaxPool2d g = maxpool2d_geometry(image_sizes(x_shape, op), {kernel, stride, padding, dilation, ceil_mode}, op);
  require_shape(dy, {g.n, g.c, g.oh, g.ow}, op, "dy");
  require_channels_last(dy, op, "dy");
  require_fits(index, {g.n, g.oh, g.ow, g.c}, op, "index");
  if (!(maxpool2d_index_is_byte(g) ? py::isinstance<U8>(index) : py::isinstance<I32>(index)))
    throw py::type_error(std::string(op) + ": index has the wrong dtype");
  F32 dx = empty_channels_last(g.n, g.c, g.h, g.w);
  call_op(fastnn::maxpool2d_backward, g, view(dy), index.data(), output(dx));
  return dx;
}

// x (N, C) contiguous or (N, C, H, W) channels last: both are rows of C floats in memory.
void require_rows(const F32& x, const char* op, const char* name) {
  if (x.ndim() == 2)
    require_contiguous(x, op, name);
  else
    require_channels_last(x, op, name);
}

F32 empty_like(const F32& x) {
  if (x.ndim() == 2) return empty({x.shape(0), x.shape(1)});
  return empty_channels_last(x.shape(0), x.shape(1), x.shape(2), x.shape(3));
}

void require_channels(const Maybe& a, py::ssize_t c, const char* op, const char* name) {
  if (a) require_fits(*a, {c}, op, name);
}

// As the op sees it: (rows, C).
template <class V>
V rows_of(V x) {
  const int64_t c = x.sizes[1];
  x.sizes[0] = c == 0 ? 0 : x.size() / c;
  x.axes = 2;
  return x;
}

// (y or max(y, 0), statistics); the statistics are those of x, or mean and variance where given.
std::pair<F32, F32> batchnorm_forward(const F32& x, const Maybe& weight, const Maybe& bias, const Maybe& mean,
                                      const Maybe& variance, double eps, bool relu) {
  const char* op = "batchnorm_forward";
  require_rows(x, op, "x");
  const int64_t c = x.shape(1);
  require_channels(weight, c, op, "weight");
  require_channels(bias, c, op, "bias");
  require_channels(mean, c, op, "mean");
  require_channels(variance, c, op, "variance");
  require(mean.has_value() == variance.has_value(), op, [] { return "mean and variance must be given together"; });
  F32 y = empty_like(x), statistics = empty({4, c});
  call_op(fastnn::batchnorm_forward, rows_of(view(x)), view(weight), view(bias), view(mean), view(variance), eps, relu,
          rows_of(output(y)), output(statistics));
  return {y, statistics};
}

// (dx or None, dweight, dbias or both None)
std::tuple<Maybe, Maybe, Maybe> batchnorm_backward(const F32& dy, const F32& x, const Maybe& weight, const Maybe& bias,
                                                   const F32& statistics, bool fixed, bool relu, bool want_dx,
                                                   bool want_sums) {
  const char* op = "batchnorm_backward";
  require_rows(x, op, "x");
  require_rows(dy, op, "dy");
  require_shape(dy, shape_of(x), op, "dy");
  const int64_t c = x.shape(1);
  require_channels(weight, c, op, "weight");
  require_channels(bias, c, op, "bias");
  require_fits(statistics, {4, c}, op, "statistics");
  Maybe dx, dweight, dbias;
  if (want_dx) dx = empty_like(x);
  if (want_sums) dweight = empty({c}), dbias = empty({c});
  call_op(fastnn::batchnorm_backward, rows_of(view(dy)), rows_of(view(x)), view(weight), view(bias), view(statistics),
          fixed, relu, want_dx ? rows_of(output(dx)) : Output(), output(dweight), output(dbias));
  return {dx, dweight, dbias};
}

}  // namespace
}  // namespace bound

void bind_image(py::module_& m) {
  m.def("conv2d_algorithm_names", &conv2d_algorithm_names);
  m.def("conv2d_algorithms", &bound::conv2d_algorithms, "x_shape"_a, "weight_shape"_a, "stride"_a, "padding"_a,
        "dilation"_a, "groups"_a, "algorithm"_a = py::none());
  m.def("conv2d_forward", &bound::conv2d_forward, "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(),
        "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "algorithm"_a = py::none(),
        "residual"_a.noconvert() = py::none(), "relu"_a = false);
  m.def("conv2d_backward_input", &bound::conv2d_backward_input, "dy"_a.noconvert(), "weight"_a.noconvert(), "x_shape"_a,
        "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "algorithm"_a = py::none());
  m.def("conv2d_backward_weight", &bound::conv2d_backward_weight, "x"_a.noconvert(), "dy"_a.noconvert(),
        "weight_shape"_a, "stride"_a, "padding"_a, "dilation"_a, "groups"_a, "algorithm"_a = py::none());
  m.def("adaptive_avgpool2d_backward", &bound::adaptive_avgpool2d_backward, "dy"_a.noconvert(), "x_shape"_a);
  m.def("adaptive_avgpool2d_forward", &bound::adaptive_avgpool2d_forward, "x"_a.noconvert(), "output_size"_a);
  m.def("avgpool2d_backward", &bound::avgpool2d_backward, "dy"_a.noconvert(), "x_shape"_a, "kernel"_a, "stride"_a,
        "padding"_a, "ceil_mode"_a, "count_include_pad"_a, "divisor_override"_a);
  m.def("avgpool2d_forward", &bound::avgpool2d_forward, "x"_a.noconvert(), "kernel"_a, "stride"_a, "padding"_a,
        "ceil_mode"_a, "count_include_pad"_a, "divisor_override"_a);
  m.def("batchnorm_backward", &bound::batchnorm_backward, "dy"_a.noconvert(), "x"_a.noconvert(), "weight"_a.noconvert(),
        "bias"_a.noconvert(), "statistics"_a.noconvert(), "fixed"_a, "relu"_a, "want_dx"_a, "want_sums"_a);
  m.def("batchnorm_forward", &bound::batchnorm_forward, "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(),
        "mean"_a.noconvert(), "variance"_a.noconvert(), "eps"_a, "relu"_a = false);
  m.def("maxpool2d_backward", &bound::maxpool2d_backward, "dy"_a.noconvert(), "index"_a.noconvert(), "x_shape"_a,
        "kernel"_a, "stride"_a, "padding"_a, "dilation"_a, "ceil_mode"_a);
  m.def("maxpool2d_forward", &bound::maxpool2d_forward, "x"_a.noconvert(), "kernel"_a, "stride"_a, "padding"_a,
        "dilation"_a, "ceil_mode"_a, "with_index"_a);
}

}  // namespace fastnn

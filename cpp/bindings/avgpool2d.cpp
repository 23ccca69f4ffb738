// Average pooling and adaptive average pooling: the same kernel over other windows.
#include "contract/pool.h"
#include "pool2d.h"

namespace fastnn {
namespace {

PoolAxis sliding(int64_t size, int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode, const char* op) {
  return {size, pooled_size(size, kernel, stride, padding, 1, ceil_mode, op), kernel, stride, padding};
}

PoolAxis adaptive(int64_t size, int64_t count, const char* op) {
  require(count >= 0, op, "output size " + std::to_string(count) + " is negative");
  require(size >= 1, op, "the image is empty");
  checked_mul(checked_add(count, 1), checked_add(size, 1));
  return {size, count, 0, 0, 0};
}

AvgPool2d geometry(int64_t n, int64_t c, const PoolAxis& rows, const PoolAxis& columns, bool count_padding,
                   int64_t divisor, const char* op) {
  require(divisor >= 0, op, "divisor " + std::to_string(divisor) + " is negative");
  checked_mul(checked_mul(rows.size, columns.size), checked_mul(checked_add(c, 16), 4));
  return {n, c, rows, columns, count_padding, divisor};
}

F32 run_forward(const F32& x, const AvgPool2d& g) {
  F32 y = empty_channels_last(g.n, g.c, g.rows.count, g.columns.count);
  const AvgPool2dForward a{g, x.data(), y.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().pool->avgpool2d_forward, a);
  }
  return y;
}

F32 run_backward(const F32& dy, const AvgPool2d& g, const char* op) {
  require_shape(dy, {g.n, g.c, g.rows.count, g.columns.count}, op, "dy");
  require_channels_last(dy, op, "dy");
  F32 dx = empty_channels_last(g.n, g.c, g.rows.size, g.columns.size);
  const AvgPool2dBackward a{g, dy.data(), dx.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().pool->avgpool2d_backward, a);
  }
  return dx;
}

void require_image(const Shape& shape, const char* op) {
  require(shape.size() == 4, op, "x_shape " + shape_text(shape) + " must have 4 entries");
  for (const py::ssize_t size : shape) require(size >= 0, op, "x_shape " + shape_text(shape) + " is negative");
}

AvgPool2d sliding_geometry(const Shape& x, const Pair& kernel, const Pair& stride, const Pair& padding, bool ceil_mode,
                           bool count_padding, int64_t divisor, const char* op) {
  return geometry(x[0], x[1], sliding(x[2], kernel[0], stride[0], padding[0], ceil_mode, op),
                  sliding(x[3], kernel[1], stride[1], padding[1], ceil_mode, op), count_padding, divisor, op);
}

F32 forward(const F32& x, const Pair& kernel, const Pair& stride, const Pair& padding, bool ceil_mode,
            bool count_include_pad, int64_t divisor_override) {
  const char* op = "avgpool2d_forward";
  require_channels_last(x, op, "x");
  return run_forward(
      x, sliding_geometry(shape_of(x), kernel, stride, padding, ceil_mode, count_include_pad, divisor_override, op));
}

F32 backward(const F32& dy, const Shape& x_shape, const Pair& kernel, const Pair& stride, const Pair& padding,
             bool ceil_mode, bool count_include_pad, int64_t divisor_override) {
  const char* op = "avgpool2d_backward";
  require_image(x_shape, op);
  return run_backward(
      dy, sliding_geometry(x_shape, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override, op), op);
}

AvgPool2d adaptive_geometry(const Shape& x, int64_t oh, int64_t ow, const char* op) {
  return geometry(x[0], x[1], adaptive(x[2], oh, op), adaptive(x[3], ow, op), false, 0, op);
}

F32 adaptive_forward(const F32& x, const Pair& output_size) {
  const char* op = "adaptive_avgpool2d_forward";
  require_channels_last(x, op, "x");
  return run_forward(x, adaptive_geometry(shape_of(x), output_size[0], output_size[1], op));
}

F32 adaptive_backward(const F32& dy, const Shape& x_shape) {
  const char* op = "adaptive_avgpool2d_backward";
  require_image(x_shape, op);
  require_ndim(dy, 4, op, "dy");
  return run_backward(dy, adaptive_geometry(x_shape, dy.shape(2), dy.shape(3), op), op);
}

}  // namespace

void bind_avgpool2d(py::module_& m) {
  m.def("adaptive_avgpool2d_backward", &adaptive_backward, "dy"_a.noconvert(), "x_shape"_a);
  m.def("adaptive_avgpool2d_forward", &adaptive_forward, "x"_a.noconvert(), "output_size"_a);
  m.def("avgpool2d_backward", &backward, "dy"_a.noconvert(), "x_shape"_a, "kernel"_a, "stride"_a, "padding"_a,
        "ceil_mode"_a, "count_include_pad"_a, "divisor_override"_a);
  m.def("avgpool2d_forward", &forward, "x"_a.noconvert(), "kernel"_a, "stride"_a, "padding"_a, "ceil_mode"_a,
        "count_include_pad"_a, "divisor_override"_a);
}

}  // namespace fastnn

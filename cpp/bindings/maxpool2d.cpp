#include "contract/pool.h"
#include "pool2d.h"

namespace fastnn {
namespace {

using I32 = py::array_t<int32_t, 0>;

MaxPool2d geometry(const Shape& x, const Pair& kernel, const Pair& stride, const Pair& padding, const Pair& dilation,
                   bool ceil_mode, const char* op) {
  MaxPool2d g{};
  g.n = x[0], g.c = x[1], g.h = x[2], g.w = x[3];
  g.kh = kernel[0], g.kw = kernel[1];
  g.stride_h = stride[0], g.stride_w = stride[1];
  g.dilation_h = dilation[0], g.dilation_w = dilation[1];
  g.pad_top = padding[0], g.pad_left = padding[1];
  g.oh = pooled_size(g.h, g.kh, g.stride_h, padding[0], g.dilation_h, ceil_mode, op);
  g.ow = pooled_size(g.w, g.kw, g.stride_w, padding[1], g.dilation_w, ceil_mode, op);
  require(checked_mul(g.kh, g.kw) < (int64_t{1} << 31), op, "the kernel has 2**31 taps or more");
  // Offsets of windows, also where they hang over the edge, and the work of a row of them.
  checked_mul(
      checked_mul(checked_add(g.h, checked_mul(g.dilation_h, g.kh)), checked_add(g.w, checked_mul(g.dilation_w, g.kw))),
      checked_mul(checked_add(g.c, 16), 64));
  checked_mul(checked_mul(g.ow, checked_mul(g.kh, g.kw)), checked_add(g.c, 16));
  return g;
}

bool small_index(const MaxPool2d& g) { return g.kh * g.kw <= 256; }

std::pair<F32, std::optional<py::array>> forward(const F32& x, const Pair& kernel, const Pair& stride,
                                                 const Pair& padding, const Pair& dilation, bool ceil_mode,
                                                 bool with_index) {
  const char* op = "maxpool2d_forward";
  require_channels_last(x, op, "x");
  MaxPool2dForward a{};
  a.g = geometry(shape_of(x), kernel, stride, padding, dilation, ceil_mode, op);
  F32 y = empty_channels_last(a.g.n, a.g.c, a.g.oh, a.g.ow);
  std::optional<py::array> index;
  if (with_index && small_index(a.g)) {
    U8 bytes = empty<uint8_t>({a.g.n, a.g.oh, a.g.ow, a.g.c});
    a.index8 = bytes.mutable_data();
    index = bytes;
  } else if (with_index) {
    I32 words = empty<int32_t>({a.g.n, a.g.oh, a.g.ow, a.g.c});
    a.index32 = words.mutable_data();
    index = words;
  }
  a.x = x.data(), a.y = y.mutable_data();
  {
    const py::gil_scoped_release nogil;
    launch(kernels().pool->maxpool2d_forward, a);
  }
  return {y, index};
}

F32 backward(const F32& dy, const py::array& index, const Shape& x_shape, const Pair& kernel, const Pair& stride,
             const Pair& padding, const Pair& dilation, bool ceil_mode) {
  const char* op = "maxpool2d_backward";
  require(x_shape.size() == 4, op, "x_shape " + shape_text(x_shape) + " must have 4 entries");
  for (const py::ssize_t size : x_shape) require(size >= 0, op, "x_shape " + shape_text(x_shape) + " is negative");
  MaxPool2dBackward a{};
  a.g = geometry(x_shape, kernel, stride, padding, dilation, ceil_mode, op);
  require_shape(dy, {a.g.n, a.g.c, a.g.oh, a.g.ow}, op, "dy");
  require_channels_last(dy, op, "dy");
  require_shape(index, {a.g.n, a.g.oh, a.g.ow, a.g.c}, op, "index");
  require_contiguous(index, op, "index");
  if (!(small_index(a.g) ? py::isinstance<U8>(index) : py::isinstance<I32>(index)))
    throw py::type_error(std::string(op) + ": index has the wrong dtype");
  F32 dx = empty_channels_last(a.g.n, a.g.c, a.g.h, a.g.w);
  a.dy = dy.data(), a.dx = dx.mutable_data();
  if (small_index(a.g))
    a.index8 = static_cast<const uint8_t*>(index.data());
  else
    a.index32 = static_cast<const int32_t*>(index.data());
  {
    const py::gil_scoped_release nogil;
    launch(kernels().pool->maxpool2d_backward, a);
  }
  return dx;
}

}  // namespace

void bind_maxpool2d(py::module_& m) {
  m.def("maxpool2d_forward", &forward, "x"_a.noconvert(), "kernel"_a, "stride"_a, "padding"_a, "dilation"_a,
        "ceil_mode"_a, "with_index"_a);
  m.def("maxpool2d_backward", &backward, "dy"_a.noconvert(), "index"_a.noconvert(), "x_shape"_a, "kernel"_a, "stride"_a,
        "padding"_a, "dilation"_a, "ceil_mode"_a);
}

}  // namespace fastnn

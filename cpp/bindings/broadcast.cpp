#include "arrays.h"

namespace fastnn {
namespace {

// x repeated to `shape`, a read-only view without a copy; None where it does not broadcast to it.
py::object broadcast_to(const py::array& x, const Shape& shape) {
  const auto ndim = static_cast<py::ssize_t>(shape.size()), extra = ndim - x.ndim();
  if (extra < 0) return py::none();
  Shape strides(shape.size());
  for (py::ssize_t i = extra; i < ndim; ++i) {
    const py::ssize_t size = x.shape(i - extra);
    if (size != shape[i] && size != 1) return py::none();
    strides[i] = size == shape[i] ? x.strides(i - extra) : 0;
  }
  for (const py::ssize_t size : shape)
    if (size < 0) return py::none();
  py::array y(x.dtype(), shape, strides, x.data(), x);
  py::detail::array_proxy(y.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return y;
}

}  // namespace

void bind_broadcast(py::module_& m) { m.def("broadcast_to", &broadcast_to, "x"_a.noconvert(), "shape"_a); }

}  // namespace fastnn

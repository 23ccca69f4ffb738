#include "arrays.h"
#include "contract/elementwise.h"

namespace fastnn {
namespace {

F32 forward(const F32& x, bool log) {
  const char* op = "softmax_forward";
  require_ndim(x, 2, op, "x");
  require_contiguous(x, op, "x");
  F32 y = empty(shape_of(x));
  const Softmax s{x.shape(0), x.shape(1), log, x.data(), y.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().elementwise->softmax_forward, s);
  }
  return y;
}

F32 backward(const F32& y, const F32& dy, bool log) {
  const char* op = "softmax_backward";
  require_ndim(y, 2, op, "y");
  require_contiguous(y, op, "y");
  require_shape(dy, shape_of(y), op, "dy");
  require_contiguous(dy, op, "dy");
  F32 dx = empty(shape_of(y));
  const SoftmaxBackward s{y.shape(0), y.shape(1), log, y.data(), dy.data(), dx.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().elementwise->softmax_backward, s);
  }
  return dx;
}

}  // namespace

void bind_softmax(py::module_& m) {
  m.def("softmax_forward", &forward, "x"_a.noconvert(), "log"_a);
  m.def("softmax_backward", &backward, "y"_a.noconvert(), "dy"_a.noconvert(), "log"_a);
}

}  // namespace fastnn

// Ops on single elements and on rows: activations, arithmetic, broadcasting, dropout, softmax.
#include "arrays.h"
#include "ops/activation.h"
#include "ops/arithmetic.h"
#include "ops/broadcast.h"
#include "ops/dropout.h"
#include "ops/softmax.h"

namespace fastnn {
namespace bound {
namespace {

F32 activation_forward(const std::string& name, const F32& x, const Numbers& options) {
  const char* op = "activation_forward";
  const ActivationKernels& f = activation_named(name, op);
  F32 y = empty_strided<float>(shape_of(x), require_dense(x, op, "x"));
  call_op(fastnn::activation_forward, f, numbers(options), flat(x), flat_output(y));
  return y;
}

F32 activation_backward(const std::string& name, const F32& saved, const F32& dy, const Numbers& options) {
  const char* op = "activation_backward";
  const ActivationKernels& f = activation_named(name, op);
  require_same_layout(saved, dy, op, "dy");
  F32 dx = empty_strided<float>(shape_of(saved), memory_order(saved));
  call_op(fastnn::activation_backward, f, numbers(options), flat(saved), flat(dy), flat_output(dx));
  return dx;
}

// Whether activation_backward is given y rather than x.
bool activation_from_output(const std::string& name) {
  return activation_named(name, "activation_from_output").from_output;
}

// A C-contiguous float32 array, or a number.
struct Operand {
  Maybe array;
  float number = 0;
  bool fits = true;

  explicit Operand(const py::object& x) {
    if (!py::isinstance<py::array>(x)) {
      number = static_cast<float>(py::cast<double>(x));
    } else if (py::isinstance<F32>(x)) {
      array = py::reinterpret_borrow<F32>(x);
      fits = is_c_contiguous(*array) && array->size() <= kMostArithmetic;
    } else {
      fits = false;
    }
  }
  bool one() const { return !array || array->ndim() == 0; }
  Floats view() const {
    if (!one()) return flat(*array);
    Floats v;
    v.data = array ? array->data() : &number;
    return v;
  }
};

bool same_shape(const F32& x, const F32& y) {
  return x.ndim() == y.ndim() && std::equal(x.shape(), x.shape() + x.ndim(), y.shape());
}

// The result for C-contiguous arrays of one shape, or an array and a number; else None.
py::object arithmetic(char sign, const py::object& first, const py::object& second) {
  const Operand x(first), y(second);
  if (!x.fits || !y.fits || (!x.one() && !y.one() && !same_shape(*x.array, *y.array))) return py::none();
  const Operand& shaped = x.one() ? y : x;
  F32 z = empty(shaped.array ? shape_of(*shaped.array) : Shape{});
  Steps steps;  // with the GIL: it takes less time than letting go of it
  fastnn::arithmetic(steps, sign, x.view(), y.view(), flat_output(z));
  return z;
}

// x repeated to `shape`, a read-only view without a copy; None where it does not broadcast to it.
py::object broadcast_to(const py::array& x, const Shape& shape) {
  const auto strides =
      broadcast_strides(static_cast<int>(x.ndim()), x.shape(), x.strides(), {shape.begin(), shape.end()});
  if (!strides) return py::none();
  py::array y(x.dtype(), shape, *strides, x.data(), x);
  py::detail::array_proxy(y.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return y;
}

F32 dropout(const F32& x, uint64_t key, uint32_t threshold, float factor) {
  F32 y = empty_strided<float>(shape_of(x), require_dense(x, "dropout", "x"));
  call_op(fastnn::dropout, key, threshold, factor, flat(x), flat_output(y));
  return y;
}

F32 softmax_forward(const F32& x, bool log) {
  const char* op = "softmax_forward";
  require_ndim(x, 2, op, "x");
  require_contiguous(x, op, "x");
  F32 y = empty(shape_of(x));
  call_op(fastnn::softmax_forward, log, view(x), output(y));
  return y;
}

F32 softmax_backward(const F32& y, const F32& dy, bool log) {
  const char* op = "softmax_backward";
  require_ndim(y, 2, op, "y");
  require_contiguous(y, op, "y");
  require_fits(dy, shape_of(y), op, "dy");
  F32 dx = empty(shape_of(y));
  call_op(fastnn::softmax_backward, log, view(y), view(dy), output(dx));
  return dx;
}

}  // namespace
}  // namespace bound

void bind_elementwise(py::module_& m) {
  m.def("activation_backward", &bound::activation_backward, "function"_a, "saved"_a.noconvert(), "dy"_a.noconvert(),
        "options"_a = Numbers());
  m.def("activation_forward", &bound::activation_forward, "function"_a, "x"_a.noconvert(), "options"_a = Numbers());
  m.def("activation_from_output", &bound::activation_from_output, "function"_a);
  m.def("arithmetic", &bound::arithmetic, "sign"_a, "x"_a, "y"_a);
  m.def("broadcast_to", &bound::broadcast_to, "x"_a.noconvert(), "shape"_a);
  m.def("dropout", &bound::dropout, "x"_a.noconvert(), "key"_a, "threshold"_a, "factor"_a);
  m.def("softmax_forward", &bound::softmax_forward, "x"_a.noconvert(), "log"_a);
  m.def("softmax_backward", &bound::softmax_backward, "y"_a.noconvert(), "dy"_a.noconvert(), "log"_a);
}

}  // namespace fastnn

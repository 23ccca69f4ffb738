// x op y of small arrays, where NumPy's way to a result without warnings takes longer than the arithmetic.
#include "arrays.h"

namespace fastnn {
namespace {

constexpr int64_t kMost = 1 << 12;  // elements; beyond, NumPy's loops are the faster ones

template <class Function>
void each(int64_t size, const float* x, const float* y, int64_t x_step, int64_t y_step, float* z, Function function) {
  if (x_step && y_step)
    for (int64_t i = 0; i < size; ++i) z[i] = function(x[i], y[i]);
  else if (x_step)
    for (int64_t i = 0; i < size; ++i) z[i] = function(x[i], *y);
  else
    for (int64_t i = 0; i < size; ++i) z[i] = function(*x, y[i]);
}

// An argument: a C-contiguous float32 array, or a number.
struct Operand {
  std::optional<F32> array;
  float number = 0;
  bool fits = true;

  explicit Operand(const py::object& x) {
    if (!py::isinstance<py::array>(x)) {
      number = static_cast<float>(py::cast<double>(x));
    } else if (py::isinstance<F32>(x)) {
      array = py::reinterpret_borrow<F32>(x);
      fits = is_c_contiguous(*array) && array->size() <= kMost;
    } else {
      fits = false;
    }
  }
  bool one() const { return !array || array->ndim() == 0; }
  const float* data() const { return array ? array->data() : &number; }
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
  float* out = z.mutable_data();
  const auto run = [&](auto function) { each(z.size(), x.data(), y.data(), !x.one(), !y.one(), out, function); };
  if (sign == '+')
    run([](float a, float b) { return a + b; });
  else if (sign == '-')
    run([](float a, float b) { return a - b; });
  else if (sign == '*')
    run([](float a, float b) { return a * b; });
  else
    run([](float a, float b) { return a / b; });
  return z;
}

}  // namespace

void bind_arithmetic(py::module_& m) { m.def("arithmetic", &arithmetic, "sign"_a, "x"_a, "y"_a); }

}  // namespace fastnn

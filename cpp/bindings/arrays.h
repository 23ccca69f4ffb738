// NumPy arrays at the border: strict checks on the way in, views for the ops, blocks of the cache on the way out.
// Nothing is ever converted or copied here; python/fastnn/arrays.py does that, where the message can be good.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bindings/steps.h"
#include "ops/steps.h"
#include "ops/view.h"
#include "runtime/isa.h"
#include "runtime/launch.h"
#include "runtime/memory.h"

namespace fastnn {
namespace py = pybind11;
using namespace pybind11::literals;

// Any strides; the checks below say which are accepted. Bind with .noconvert().
using F32 = py::array_t<float, 0>;
using I64 = py::array_t<int64_t, 0>;
using U8 = py::array_t<uint8_t, 0>;
using Maybe = std::optional<F32>;
using Shape = std::vector<py::ssize_t>;
using Numbers = py::typing::Tuple<double, py::ellipsis>;

inline std::string shape_text(const Shape& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

inline Shape shape_of(const py::array& a) { return Shape(a.shape(), a.shape() + a.ndim()); }

// `what`, a function, says what is wrong; no text is made where nothing is.
template <class What>
void require(bool ok, const char* op, What what) {
  if (!ok) throw py::value_error(std::string(op) + ": " + what());
}

inline void require_ndim(const py::array& a, py::ssize_t ndim, const char* op, const char* name) {
  require(a.ndim() == ndim, op, [&] {
    return std::string(name) + " has shape " + shape_text(shape_of(a)) + ", expected " + std::to_string(ndim) +
           " dimensions";
  });
}

inline void require_shape(const py::array& a, const Shape& shape, const char* op, const char* name) {
  require(std::equal(shape.begin(), shape.end(), a.shape(), a.shape() + a.ndim()), op, [&] {
    return std::string(name) + " has shape " + shape_text(shape_of(a)) + ", expected " + shape_text(shape);
  });
}

// Whether the axes, taken in `order` (slowest first), lie densely in memory. Axes of size 1 may have any stride.
template <class Order>
bool is_dense(const py::array& a, const Order& order) {
  py::ssize_t step = a.itemsize();
  if (a.size() == 0) return true;
  for (size_t i = order.size(); i-- > 0;) {
    if (a.shape(order[i]) != 1 && a.strides(order[i]) != step) return false;
    step *= a.shape(order[i]);
  }
  return reinterpret_cast<uintptr_t>(a.data()) % a.itemsize() == 0;
}

inline bool is_c_contiguous(const py::array& a) {
  constexpr int kDense = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return (a.flags() & kDense) == kDense;
}

// (N, C, H, W) with the strides of N, H, W, C.
inline bool is_channels_last(const py::array& a) { return a.ndim() == 4 && is_dense(a, std::array{0, 2, 3, 1}); }

// The axes by falling stride: the order in which a dense array lies in memory.
inline std::vector<int> memory_order(const py::array& a) {
  std::vector<int> order(a.ndim());
  for (int i = 0; i < static_cast<int>(a.ndim()); ++i) order[i] = i;
  if (is_c_contiguous(a)) return order;
  std::stable_sort(order.begin(), order.end(), [&](int i, int j) { return a.strides(i) > a.strides(j); });
  return order;
}

inline void require_contiguous(const py::array& a, const char* op, const char* name) {
  if (!is_c_contiguous(a)) throw py::type_error(std::string(op) + ": " + name + " must be C-contiguous and aligned");
}

// Options of a function, at less cost than a conversion by pybind11.
inline std::vector<double> numbers(const Numbers& options) {
  std::vector<double> values(options.size());
  for (size_t i = 0; i < values.size(); ++i) values[i] = PyFloat_AsDouble(PyTuple_GET_ITEM(options.ptr(), i));
  if (PyErr_Occurred()) throw py::error_already_set();
  return values;
}

// Of that shape and C-contiguous.
inline void require_fits(const py::array& a, const Shape& shape, const char* op, const char* name) {
  require_shape(a, shape, op, name);
  require_contiguous(a, op, name);
}

inline void require_channels_last(const py::array& a, const char* op, const char* name) {
  if (!is_channels_last(a))
    throw py::type_error(std::string(op) + ": " + name + " must be (N, C, H, W) with channels last in memory");
}

// A new array in a block of the cache, returned to it when the array dies. Contents undefined.
template <class T>
py::array_t<T, 0> empty_strided(const Shape& shape, const std::vector<int>& order) {
  int64_t bytes = sizeof(T);
  Shape strides(shape.size());
  for (size_t i = order.size(); i-- > 0;) {
    strides[order[i]] = bytes;
    bytes = checked_mul(bytes, shape[order[i]] ? shape[order[i]] : 1);
  }
  Block* block = acquire(bytes);
  const py::capsule owner(block, nullptr,
                          [](PyObject* c) { release(static_cast<Block*>(PyCapsule_GetPointer(c, nullptr))); });
  return py::array_t<T, 0>(shape, strides, static_cast<T*>(data_of(block)), owner);
}

template <class T = float>
py::array_t<T, 0> empty(const Shape& shape) {
  std::vector<int> order(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) order[i] = static_cast<int>(i);
  return empty_strided<T>(shape, order);
}

template <class T = float>
py::array_t<T, 0> empty_channels_last(py::ssize_t n, py::ssize_t c, py::ssize_t h, py::ssize_t w) {
  return empty_strided<T>({n, c, h, w}, {0, 2, 3, 1});
}

// Throws unless the elements of `a` fill their memory without gaps, in any order of axes; returns that order.
inline std::vector<int> require_dense(const py::array& a, const char* op, const char* name) {
  std::vector<int> order = memory_order(a);
  if (!is_dense(a, order)) throw py::type_error(std::string(op) + ": " + name + " must be dense in memory and aligned");
  return order;
}

// Throws unless the dense arrays have one shape and one layout, so that flat memory pairs up their elements.
inline void require_same_layout(const py::array& a, const py::array& b, const char* op, const char* name) {
  require_shape(b, shape_of(a), op, name);
  if (!is_dense(b, require_dense(a, op, "x")))
    throw py::type_error(std::string(op) + ": " + name + " must lie in memory as x does");
}

// An array of at most kMostAxes axes and whole elements between them as the ops see it. They check nothing of memory:
// what they take as contiguous has been required to be so.
template <class T, int Flags>
View<const T> view(const py::array_t<T, Flags>& a) {
  if (a.ndim() > kMostAxes) throw py::value_error("array of " + std::to_string(a.ndim()) + " dimensions");
  View<const T> v;
  v.data = a.data(), v.axes = static_cast<int>(a.ndim());
  for (int i = 0; i < v.axes; ++i) v.sizes[i] = a.shape(i), v.strides[i] = a.strides(i) / static_cast<int>(sizeof(T));
  return v;
}
template <class T, int Flags>
View<const T> view(const std::optional<py::array_t<T, Flags>>& a) {
  return a ? view(*a) : View<const T>();
}
// Views of arrays that must be C-contiguous.
template <class T, int Flags>
View<const T> dense(const py::array_t<T, Flags>& a, const char* op, const char* name) {
  require_contiguous(a, op, name);
  return view(a);
}
template <class T, int Flags>
View<const T> dense(const std::optional<py::array_t<T, Flags>>& a, const char* op, const char* name) {
  return a ? dense(*a, op, name) : View<const T>();
}
template <class T>
View<T> output(py::array_t<T, 0>& a) {
  const View<const T> v = view(a);
  View<T> out;
  out.data = a.mutable_data(), out.axes = v.axes;
  std::copy(v.sizes, v.sizes + v.axes, out.sizes);
  std::copy(v.strides, v.strides + v.axes, out.strides);
  return out;
}
inline Output output(Maybe& a) { return a ? output(*a) : Output(); }

// A dense array of any number of axes as one.
template <class T>
View<T> flat(T* data, int64_t size) {
  View<T> v;
  v.data = data, v.axes = 1, v.sizes[0] = size, v.strides[0] = 1;
  return v;
}
inline Floats flat(const F32& a) { return flat(a.data(), a.size()); }
inline Output flat_output(F32& a) { return flat(a.mutable_data(), a.size()); }

// An op on views.
template <class Op, class... Args>
void call_op(Op op, const Args&... args) {
  run_op([&](Steps& steps) { op(steps, args...); });
}

inline const float* data_or_null(const std::optional<F32>& a) { return a ? a->data() : nullptr; }

}  // namespace fastnn

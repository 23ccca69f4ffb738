// Matrices and their rows: linear, gemm, embedding, take_rows, transpose, sums.
#include "arrays.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/linear.h"
#include "ops/row_sums.h"
#include "ops/sum_rows.h"
#include "ops/transpose.h"
#include "packed.h"

namespace fastnn {
namespace bound {
namespace {

// Any strides of whole floats. Axes of size 1, and arrays without elements, may have any: 0 here.
Floats strided(const F32& a, const char* op) {
  Floats v = view(a);
  for (int i = 0; i < v.axes; ++i) {
    const bool free = a.size() == 0 || v.sizes[i] == 1;
    if (a.size() != 0 && (reinterpret_cast<uintptr_t>(a.data()) % 4 || (!free && a.strides(i) % 4)))
      throw py::type_error(std::string(op) + ": arrays must be aligned");
    if (free) v.strides[i] = 0;
  }
  return v;
}

// a (B, M, K) times b (B or 1, K, N), any strides.
F32 gemm(const F32& a, const F32& b) {
  require_ndim(a, 3, "gemm", "a");
  require_ndim(b, 3, "gemm", "b");
  require_shape(b, {b.shape(0) == 1 ? 1 : a.shape(0), a.shape(2), b.shape(2)}, "gemm", "b");
  const Floats left = strided(a, "gemm"), right = strided(b, "gemm");
  F32 c = empty({a.shape(0), a.shape(1), b.shape(2)});
  call_op(fastnn::gemm, left, right, output(c));
  return c;
}

constexpr const char* kLinear = "linear";

void require_linear(const F32& x, const F32& weight, const Maybe& bias) {
  if (weight.ndim() != 2)
    throw py::value_error("linear: weight has shape " + shape_text(shape_of(weight)) +
                          ", expected 2 dimensions (out_features, in_features)");
  if (x.ndim() < 1 || x.shape(x.ndim() - 1) != weight.shape(1))
    throw py::value_error("linear: x of shape " + shape_text(shape_of(x)) +
                          " does not end in the in_features of weight " + shape_text(shape_of(weight)));
  if (bias && (bias->ndim() != 1 || bias->shape(0) != weight.shape(0)))
    throw py::value_error("linear: bias has shape " + shape_text(shape_of(*bias)) + " but weight " +
                          shape_text(shape_of(weight)) + " expects (" + std::to_string(weight.shape(0)) + ",)");
}

// An array (..., columns) as a matrix: with gaps where it is one, else dense.
template <class T>
View<T> dense_rows(T* data, const F32& a) {
  const int last = static_cast<int>(a.ndim()) - 1;
  View<T> v;
  v.data = data, v.axes = 2, v.sizes[0] = 1, v.sizes[1] = a.shape(last);
  for (int i = 0; i < last; ++i) v.sizes[0] = checked_mul(v.sizes[0], a.shape(i));
  v.strides[0] = v.sizes[1], v.strides[1] = 1;
  return v;
}

Floats matrix_of(const F32& a) {
  if (a.ndim() == 2) return strided(a, kLinear);
  require_contiguous(a, kLinear, "x");
  return dense_rows(a.data(), a);
}

Weight linear_weight(const F32& a) {
  return {strided(a, kLinear), is_dense(a, memory_order(a)) ? owner_of(a) : nullptr};
}

F32 linear_forward(const F32& x, const F32& weight, const Maybe& bias, bool relu) {
  require_linear(x, weight, bias);
  if (bias) require_contiguous(*bias, kLinear, "bias");
  const Floats rows = matrix_of(x);
  const Weight w = linear_weight(weight);
  Shape shape = shape_of(x);
  shape.back() = weight.shape(0);
  F32 y = empty(shape);
  call_op(fastnn::linear_forward, rows, w, view(bias), relu, dense_rows(y.mutable_data(), y));
  return y;
}

// As the weight lies in memory: by columns where those are dense.
F32 empty_like_weight(const F32& weight) {
  const bool columns = weight.strides(0) == sizeof(float) && weight.strides(1) != sizeof(float);
  return empty_strided<float>(shape_of(weight), columns ? std::vector<int>{1, 0} : std::vector<int>{0, 1});
}

// Returns (dx, dw, db); of these what is wanted. dy is C-contiguous.
std::tuple<Maybe, Maybe, Maybe> linear_backward(const F32& x, const F32& weight, const F32& dy, bool want_x,
                                                bool want_weight, bool want_bias) {
  require_linear(x, weight, std::nullopt);
  Shape shape = shape_of(x);
  shape.back() = weight.shape(0);
  require_fits(dy, shape, kLinear, "dy");
  const Floats rows = matrix_of(x), drows = matrix_of(dy);
  const Weight w = linear_weight(weight);
  Maybe dx, dw, db;
  Output to_x;
  if (want_x) dx = empty(shape_of(x)), to_x = dense_rows(dx->mutable_data(), *dx);
  if (want_weight) dw = empty_like_weight(weight);
  if (want_bias) db = empty({weight.shape(0)});
  call_op(fastnn::linear_backward, rows, w, drows, to_x, output(dw), output(db));
  return {dx, dw, db};
}

void require_matrix(const F32& x, const char* op, const char* name) {
  require_ndim(x, 2, op, name);
  require_contiguous(x, op, name);
}

void require_indices(const I64& indices, const char* op, const char* name) {
  require_ndim(indices, 1, op, name);
  require_contiguous(indices, op, name);
}

F32 embedding_forward(const I64& indices, const F32& weight) {
  const char* op = "embedding_forward";
  require_matrix(weight, op, "weight");
  require_indices(indices, op, "indices");
  F32 y = empty({indices.shape(0), weight.shape(1)});
  call_op(fastnn::embedding_forward, view(indices), view(weight), output(y));
  return y;
}

F32 embedding_backward(const I64& indices, const F32& dy, int64_t rows, int64_t skip) {
  const char* op = "embedding_backward";
  require(rows >= 0, op, [&] { return "rows is " + std::to_string(rows); });
  require_indices(indices, op, "indices");
  require_ndim(dy, 2, op, "dy");
  require_fits(dy, {indices.shape(0), dy.shape(1)}, op, "dy");
  F32 dw = empty({rows, dy.shape(1)});
  call_op(fastnn::embedding_backward, view(indices), view(dy), skip, output(dw));
  return dw;
}

F32 take_rows(const F32& x, const I64& index) {
  const char* op = "take_rows";
  require_matrix(x, op, "x");
  require_indices(index, op, "index");
  F32 y = empty({index.shape(0), x.shape(1)});
  call_op(fastnn::take_rows, view(x), view(index), output(y));
  return y;
}

// (N, columns, rows) from x (N, rows, columns).
F32 transpose(const F32& x) {
  require_ndim(x, 3, "transpose", "x");
  require_contiguous(x, "transpose", "x");
  F32 y = empty({x.shape(0), x.shape(2), x.shape(1)});
  call_op(fastnn::transpose, view(x), output(y));
  return y;
}

F32 sum_rows(const F32& x) {
  require_matrix(x, "sum_rows", "x");
  F32 y = empty({x.shape(1)});
  call_op(fastnn::sum_rows, view(x), output(y));
  return y;
}

py::array_t<double, 0> row_sums(const F32& x, double divisor) {
  require_matrix(x, "row_sums", "x");
  py::array_t<double, 0> y = empty<double>({x.shape(0)});
  call_op(fastnn::row_sums, divisor, view(x), output(y));
  return y;
}

F32 row_means(const F32& x, double divisor) {
  require_matrix(x, "row_means", "x");
  F32 y = empty({x.shape(0)});
  call_op(fastnn::row_means, divisor, view(x), output(y));
  return y;
}

}  // namespace
}  // namespace bound

void bind_dense(py::module_& m) {
  m.def("embedding_backward", &bound::embedding_backward, "indices"_a.noconvert(), "dy"_a.noconvert(), "rows"_a,
        "skip"_a);
  m.def("embedding_forward", &bound::embedding_forward, "indices"_a.noconvert(), "weight"_a.noconvert());
  m.def("gemm", &bound::gemm, "a"_a.noconvert(), "b"_a.noconvert());
  m.def("linear_forward", &bound::linear_forward, "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(),
        "relu"_a = false);
  m.def("linear_backward", &bound::linear_backward, "x"_a.noconvert(), "weight"_a.noconvert(), "dy"_a.noconvert(),
        "want_x"_a, "want_weight"_a, "want_bias"_a);
  m.def("row_means", &bound::row_means, "x"_a.noconvert(), "divisor"_a);
  m.def("row_sums", &bound::row_sums, "x"_a.noconvert(), "divisor"_a = 1.0);
  m.def("sum_rows", &bound::sum_rows, "x"_a.noconvert());
  m.def("take_rows", &bound::take_rows, "x"_a.noconvert(), "index"_a.noconvert());
  m.def("transpose", &bound::transpose, "x"_a.noconvert());
}

}  // namespace fastnn

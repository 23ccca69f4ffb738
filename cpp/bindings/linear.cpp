// linear: y (..., out) = x (..., in) . weight (out, in) transposed + bias (out), and its gradients.
#include "gemm.h"

namespace fastnn {
namespace {

constexpr const char* kOp = "linear";
using Maybe = std::optional<F32>;

int64_t rows_of(const F32& x) {
  int64_t rows = 1;
  for (py::ssize_t i = 0; i + 1 < x.ndim(); ++i) rows = checked_mul(rows, x.shape(i));
  return rows;
}

void check(const F32& x, const F32& weight, const Maybe& bias) {
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

// What of a Gemm is the same for y and for the gradients: m rows, dense or (two axes of x) with gaps.
Gemm product(const F32& rows, int64_t m, int64_t k, int64_t n) {
  Gemm g{};
  g.batch = 1, g.m = m, g.n = n, g.k = k, g.a = rows.data();
  if (rows.ndim() == 2) {
    g.a_row = float_stride(rows, 0, kOp), g.a_col = float_stride(rows, 1, kOp);
  } else {
    require_contiguous(rows, kOp, "x");
    g.a_row = k, g.a_col = 1;
  }
  g.c_row = n;
  return g;
}

F32 forward(const F32& x, const F32& weight, const Maybe& bias) {
  check(x, weight, bias);
  if (bias) require_contiguous(*bias, kOp, "bias");
  Gemm g = product(x, rows_of(x), weight.shape(1), weight.shape(0));
  g.b = weight.data(), g.b_row = float_stride(weight, 1, kOp), g.b_col = float_stride(weight, 0, kOp);
  g.bias = data_or_null(bias);
  require_sane(g);
  Shape shape = shape_of(x);
  shape.back() = weight.shape(0);
  F32 y = empty(shape);
  g.c = y.mutable_data();
  run_gemm(g, weight, bias);
  return y;
}

// dy (..., out) . weight.
F32 input_gradient(const F32& x, const F32& weight, const F32& dy) {
  Gemm g = product(dy, rows_of(x), weight.shape(0), weight.shape(1));
  g.b = weight.data(), g.b_row = float_stride(weight, 0, kOp), g.b_col = float_stride(weight, 1, kOp);
  require_sane(g);
  F32 dx = empty(shape_of(x));
  g.c = dx.mutable_data();
  run_gemm(g, weight, std::nullopt);
  return dx;
}

// dy transposed . x, laid out in memory as the weight is: the product of the transposes where its columns are dense.
F32 weight_gradient(const F32& x, const F32& weight, const F32& dy) {
  const bool columns = weight.strides(0) == sizeof(float) && weight.strides(1) != sizeof(float);
  const int64_t rows = rows_of(x), in = weight.shape(1), out = weight.shape(0);
  const Gemm of_x = product(x, rows, in, in), of_dy = product(dy, rows, out, out);
  const Gemm &a = columns ? of_x : of_dy, &b = columns ? of_dy : of_x;
  F32 dw = empty_strided<float>({out, in}, columns ? std::vector<int>{1, 0} : std::vector<int>{0, 1});
  Gemm g{};
  g.batch = 1, g.m = columns ? in : out, g.n = columns ? out : in, g.k = rows;
  g.a = a.a, g.a_row = a.a_col, g.a_col = a.a_row;
  g.b = b.a, g.b_row = b.a_row, g.b_col = b.a_col;
  g.c = dw.mutable_data(), g.c_row = g.n;
  require_sane(g);
  const py::gil_scoped_release nogil;
  launch(kernels().gemm->gemm, g);
  return dw;
}

F32 bias_gradient(const F32& dy, int64_t rows, int64_t out) {
  F32 db = empty({out});
  const SumRows s{rows, out, out, dy.data(), db.mutable_data(), nullptr};
  const py::gil_scoped_release nogil;
  launch(kernels().gemm->sum_rows, s);
  return db;
}

// Returns (dx, dw, db); of these what is wanted. dy is C-contiguous.
std::tuple<Maybe, Maybe, Maybe> backward(const F32& x, const F32& weight, const F32& dy, bool want_x, bool want_weight,
                                         bool want_bias) {
  check(x, weight, std::nullopt);
  Shape shape = shape_of(x);
  shape.back() = weight.shape(0);
  require_shape(dy, shape, kOp, "dy");
  require_contiguous(dy, kOp, "dy");
  Maybe dx, dw, db;
  if (want_x) dx = input_gradient(x, weight, dy);
  if (want_weight) dw = weight_gradient(x, weight, dy);
  if (want_bias) db = bias_gradient(dy, rows_of(x), weight.shape(0));
  return {dx, dw, db};
}

}  // namespace

void bind_linear(py::module_& m) {
  m.def("linear_forward", &forward, "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert());
  m.def("linear_backward", &backward, "x"_a.noconvert(), "weight"_a.noconvert(), "dy"_a.noconvert(), "want_x"_a,
        "want_weight"_a, "want_bias"_a);
}

}  // namespace fastnn

#include "ops/batchnorm.h"

#include "arrays.h"
#include "steps.h"

namespace fastnn {
namespace {

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

void require_channels(const std::optional<F32>& a, py::ssize_t c, const char* op, const char* name) {
  if (!a) return;
  require_shape(*a, {c}, op, name);
  require_contiguous(*a, op, name);
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
std::pair<F32, F32> forward(const F32& x, const std::optional<F32>& weight, const std::optional<F32>& bias,
                            const std::optional<F32>& mean, const std::optional<F32>& variance, double eps, bool relu) {
  const char* op = "batchnorm_forward";
  require_rows(x, op, "x");
  const int64_t c = x.shape(1);
  require_channels(weight, c, op, "weight");
  require_channels(bias, c, op, "bias");
  require_channels(mean, c, op, "mean");
  require_channels(variance, c, op, "variance");
  require(mean.has_value() == variance.has_value(), op, "mean and variance must be given together");
  F32 y = empty_like(x), statistics = empty({4, c});
  const Floats rows = rows_of(view(x)), w = view(weight), b = view(bias), m = view(mean), v = view(variance);
  const Output out = rows_of(output(y)), out_statistics = output(statistics);
  run_op([&](Steps& steps) { batchnorm_forward(steps, rows, w, b, m, v, eps, relu, out, out_statistics); });
  return {y, statistics};
}

using Maybe = std::optional<F32>;

// (dx or None, dweight, dbias or both None)
std::tuple<Maybe, Maybe, Maybe> backward(const F32& dy, const F32& x, const Maybe& weight, const Maybe& bias,
                                         const F32& statistics, bool fixed, bool relu, bool want_dx, bool want_sums) {
  const char* op = "batchnorm_backward";
  require_rows(x, op, "x");
  require_rows(dy, op, "dy");
  require_shape(dy, shape_of(x), op, "dy");
  const int64_t c = x.shape(1);
  require_channels(weight, c, op, "weight");
  require_channels(bias, c, op, "bias");
  require_shape(statistics, {4, c}, op, "statistics");
  require_contiguous(statistics, op, "statistics");
  Maybe dx, dweight, dbias;
  if (want_dx) dx = empty_like(x);
  if (want_sums) dweight = empty({c}), dbias = empty({c});
  const Floats rows = rows_of(view(x)), drows = rows_of(view(dy)), w = view(weight), b = view(bias),
               saved = view(statistics);
  const Output out = want_dx ? rows_of(output(dx)) : Output(), dw = output(dweight), db = output(dbias);
  run_op([&](Steps& steps) { batchnorm_backward(steps, drows, rows, w, b, saved, fixed, relu, out, dw, db); });
  return {dx, dweight, dbias};
}

}  // namespace

void bind_batchnorm(py::module_& m) {
  m.def("batchnorm_backward", &backward, "dy"_a.noconvert(), "x"_a.noconvert(), "weight"_a.noconvert(),
        "bias"_a.noconvert(), "statistics"_a.noconvert(), "fixed"_a, "relu"_a, "want_dx"_a, "want_sums"_a);
  m.def("batchnorm_forward", &forward, "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(),
        "mean"_a.noconvert(), "variance"_a.noconvert(), "eps"_a, "relu"_a = false);
}

}  // namespace fastnn

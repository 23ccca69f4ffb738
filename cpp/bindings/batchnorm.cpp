#include <cmath>

#include "arrays.h"

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

int64_t rows_of(const F32& x) { return x.shape(1) == 0 ? 0 : x.size() / x.shape(1); }

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
  BatchNorm b{rows_of(x),         c,      x.data(), data_or_null(weight),
              data_or_null(bias), eps,    relu,     statistics.mutable_data(),
              y.mutable_data(),   nullptr};
  for (int64_t j = 0; mean && j < c; ++j) {
    b.statistics[j] = mean->data()[j];
    b.statistics[c + j] = 0.0f;
    b.statistics[2 * c + j] = static_cast<float>(1.0 / std::sqrt(static_cast<double>(variance->data()[j]) + eps));
    b.statistics[3 * c + j] = variance->data()[j];
  }
  {
    const py::gil_scoped_release nogil;
    if (!mean) {
      const Workspace partials(kernels().batchnorm_workspace(b.rows, c));
      b.partials = partials.data();
      launch(kernels().batchnorm_partial, b);
      launch(kernels().batchnorm_statistics, b);
    }
    launch(kernels().batchnorm_forward, b);
  }
  return {y, statistics};
}

// (dx or None, dweight, dbias or both None)
std::tuple<std::optional<F32>, std::optional<F32>, std::optional<F32>> backward(
    const F32& dy, const F32& x, const std::optional<F32>& weight, const std::optional<F32>& bias,
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
  std::optional<F32> dx, dbias, dweight;
  if (want_dx) dx = empty_like(x);
  const bool sums_needed = want_sums || !fixed;
  const Workspace sums(checked_mul(2, c));
  BatchNormBackward b{rows_of(x),
                      c,
                      x.data(),
                      dy.data(),
                      data_or_null(weight),
                      data_or_null(bias),
                      statistics.data(),
                      fixed,
                      relu,
                      sums.data(),
                      want_dx ? dx->mutable_data() : nullptr,
                      nullptr};
  {
    const py::gil_scoped_release nogil;
    const Workspace partials(kernels().batchnorm_workspace(b.rows, c));
    b.partials = partials.data();
    if (sums_needed) {
      launch(kernels().batchnorm_backward_partial, b);
      launch(kernels().batchnorm_backward_sums, b);
    }
    if (want_dx) launch(kernels().batchnorm_backward, b);
  }
  if (want_sums) {
    dbias = empty({c});
    dweight = empty({c});
    std::copy(b.sums, b.sums + c, dbias->mutable_data());
    std::copy(b.sums + c, b.sums + 2 * c, dweight->mutable_data());
  }
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

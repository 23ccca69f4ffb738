#include "arrays.h"
#include "contract/loss.h"

namespace fastnn {
namespace {

using Result = std::pair<F32, std::optional<F32>>;

// Sum of the weights of the rows that count. A target that is neither a class nor ignore_index raises IndexError.
double check_targets(const I64& target, const float* weight, int64_t columns, int64_t ignore_index) {
  const int64_t* t = target.data();
  double total = 0;
  for (int64_t i = 0; i < target.size(); ++i) {
    if (t[i] == ignore_index) continue;
    if (t[i] < 0 || t[i] >= columns)
      throw py::index_error("cross_entropy: target number " + std::to_string(i) + " is " + std::to_string(t[i]) +
                            ", expected 0 to " + std::to_string(columns - 1) + " or ignore_index " +
                            std::to_string(ignore_index));
    total += weight ? weight[t[i]] : 1.0;
  }
  return total;
}

CrossEntropy prepare(const F32& x, const std::optional<F32>& weight, float smoothing, const char* op) {
  require_ndim(x, 2, op, "x");
  require_contiguous(x, op, "x");
  if (weight) {
    require_shape(*weight, {x.shape(1)}, op, "weight");
    require_contiguous(*weight, op, "weight");
  }
  CrossEntropy a{};
  a.rows = x.shape(0), a.columns = x.shape(1), a.x = x.data(), a.weight = data_or_null(weight);
  a.smoothing = smoothing;
  return a;
}

// (loss, gradient): the total as a 0-d array, or with `each` the losses of the rows; gradient where wanted.
Result run(CrossEntropy a, bool each, bool gradient) {
  F32 total = empty({}), losses = empty({each ? a.rows : 0});
  std::optional<F32> dx;
  if (gradient) dx = empty({a.rows, a.columns});
  a.total = total.mutable_data();
  a.losses = each ? losses.mutable_data() : nullptr;
  a.dx = dx ? dx->mutable_data() : nullptr;
  {
    const py::gil_scoped_release nogil;
    launch(kernels().loss->cross_entropy, a);
  }
  return {each ? losses : total, dx};
}

// reduction: "none", "sum" or "mean", the last over the weights of the rows that count.
Result from_classes(const F32& x, const I64& target, const std::optional<F32>& weight, int64_t ignore_index,
                    float smoothing, const std::string& reduction, bool gradient) {
  const char* op = "cross_entropy";
  CrossEntropy a = prepare(x, weight, smoothing, op);
  require_shape(target, {a.rows}, op, "target");
  require_contiguous(target, op, "target");
  const double weights = check_targets(target, a.weight, a.columns, ignore_index);
  a.target = target.data();
  a.ignore_index = ignore_index;
  a.scale = reduction == "mean" ? 1 / weights : 1;
  return run(a, reduction == "none", gradient);
}

Result from_probabilities(const F32& x, const F32& target, const std::optional<F32>& weight, float smoothing,
                          const std::string& reduction, bool gradient) {
  const char* op = "cross_entropy";
  CrossEntropy a = prepare(x, weight, smoothing, op);
  require_shape(target, shape_of(x), op, "target");
  require_contiguous(target, op, "target");
  a.probabilities = target.data();
  a.scale = reduction == "mean" ? 1 / static_cast<double>(a.rows) : 1;
  return run(a, reduction == "none", gradient);
}

}  // namespace

void bind_cross_entropy(py::module_& m) {
  m.def("cross_entropy", &from_classes, "x"_a.noconvert(), "target"_a.noconvert(), "weight"_a.noconvert(),
        "ignore_index"_a, "label_smoothing"_a, "reduction"_a, "gradient"_a);
  m.def("cross_entropy_probabilities", &from_probabilities, "x"_a.noconvert(), "target"_a.noconvert(),
        "weight"_a.noconvert(), "label_smoothing"_a, "reduction"_a, "gradient"_a);
}

}  // namespace fastnn

// Optimizer steps in place on flat arrays. A step is one call, however many ranges with their own options it has, so
// an interrupt never leaves half a step.
#include "arrays.h"
#include "contract/optim.h"

namespace fastnn {
namespace {

float* writable(F32& a, py::ssize_t size, const char* op, const char* name) {
  require_contiguous(a, op, name);
  require_shape(a, {size}, op, name);
  if (!a.writeable()) throw py::value_error(std::string(op) + ": " + name + " is read-only");
  return a.mutable_data();
}

const float* readable(const F32& a, py::ssize_t size, const char* op, const char* name) {
  require_contiguous(a, op, name);
  require_shape(a, {size}, op, name);
  return a.data();
}

void require_range(int64_t begin, int64_t end, int64_t size, const char* op) {
  require(0 <= begin && begin <= end && end <= size, op,
          "range " + std::to_string(begin) + ":" + std::to_string(end) + " of " + std::to_string(size) + " weights");
}

// begin, end, lr, momentum, 1 - dampening, weight_decay, nesterov, maximize, first
using SgdRange = std::tuple<int64_t, int64_t, double, double, double, double, bool, bool, bool>;

void sgd_step(F32 weight, const F32& grad, std::optional<F32> buffer, const std::vector<SgdRange>& ranges) {
  const py::ssize_t size = weight.size();
  float* w = writable(weight, size, "sgd_step", "weight");
  const float* g = readable(grad, size, "sgd_step", "grad");
  float* b = buffer ? writable(*buffer, size, "sgd_step", "buffer") : nullptr;
  for (const SgdRange& r : ranges) require_range(std::get<0>(r), std::get<1>(r), size, "sgd_step");
  const py::gil_scoped_release nogil;
  for (const auto& [begin, end, lr, momentum, one_minus_dampening, weight_decay, nesterov, maximize, first] : ranges) {
    Sgd s{};
    s.n = end - begin;
    s.weight = w + begin;
    s.grad = g + begin;
    s.buffer = b && momentum != 0 ? b + begin : nullptr;
    s.lr = static_cast<float>(lr);
    s.momentum = static_cast<float>(momentum);
    s.one_minus_dampening = static_cast<float>(one_minus_dampening);
    s.weight_decay = static_cast<float>(weight_decay);
    s.nesterov = nesterov;
    s.maximize = maximize;
    s.first = first;
    launch(kernels().optim->sgd, s);
  }
}

// begin, end, beta1, beta2, lr_m, scale_v, eps, weight_decay, decoupled, maximize
using AdamRange = std::tuple<int64_t, int64_t, double, double, double, double, double, double, bool, bool>;

void adam_step(F32 weight, const F32& grad, F32 m, F32 v, const std::vector<AdamRange>& ranges) {
  const py::ssize_t size = weight.size();
  float* w = writable(weight, size, "adam_step", "weight");
  const float* g = readable(grad, size, "adam_step", "grad");
  float* mean = writable(m, size, "adam_step", "m");
  float* square = writable(v, size, "adam_step", "v");
  for (const AdamRange& r : ranges) require_range(std::get<0>(r), std::get<1>(r), size, "adam_step");
  const py::gil_scoped_release nogil;
  for (const auto& [begin, end, beta1, beta2, lr_m, scale_v, eps, weight_decay, decoupled, maximize] : ranges) {
    Adam a{};
    a.n = end - begin;
    a.weight = w + begin;
    a.grad = g + begin;
    a.m = mean + begin;
    a.v = square + begin;
    a.beta1 = static_cast<float>(beta1);
    a.one_minus_beta1 = static_cast<float>(1 - beta1);
    a.beta2 = static_cast<float>(beta2);
    a.one_minus_beta2 = static_cast<float>(1 - beta2);
    a.lr_m = static_cast<float>(lr_m);
    a.scale_v = static_cast<float>(scale_v);
    a.eps = static_cast<float>(eps);
    a.weight_decay = static_cast<float>(weight_decay);
    a.decoupled = decoupled;
    a.maximize = maximize;
    launch(kernels().optim->adam, a);
  }
}

double sum_squares(const F32& x) {
  require_contiguous(x, "sum_squares", "x");
  double total = 0;
  const SumSquares s{x.size(), x.data(), &total, nullptr};
  const py::gil_scoped_release nogil;
  launch(kernels().optim->sum_squares, s);
  return total;
}

}  // namespace

void bind_optimizer(py::module_& m) {
  m.def("sgd_step", &sgd_step, "weight"_a.noconvert(), "grad"_a.noconvert(), "buffer"_a.noconvert().none(true),
        "ranges"_a);
  m.def("adam_step", &adam_step, "weight"_a.noconvert(), "grad"_a.noconvert(), "m"_a.noconvert(), "v"_a.noconvert(),
        "ranges"_a);
  m.def("sum_squares", &sum_squares, "x"_a.noconvert());
}

}  // namespace fastnn

#include "ops/optimizer.h"

#include "contract/optim.h"
#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

template <class Range>
void check_ranges(const std::vector<Range>& ranges, int64_t size, const char* op) {
  for (const Range& r : ranges)
    check(0 <= r.begin && r.begin <= r.end && r.end <= size, op, [&] {
      return "range " + std::to_string(r.begin) + ":" + std::to_string(r.end) + " of " + std::to_string(size) +
             " weights";
    });
}

}  // namespace

void sgd_step(Steps& steps, const std::vector<SgdRange>& ranges, const Output& weight, const Floats& grad,
              const Output& buffer) {
  check_ranges(ranges, weight.size(), "sgd_step");
  for (const SgdRange& r : ranges) {
    Sgd s{};
    s.n = r.end - r.begin;
    s.weight = weight.data + r.begin;
    s.grad = grad.data + r.begin;
    s.buffer = buffer && r.momentum != 0 ? buffer.data + r.begin : nullptr;
    s.lr = static_cast<float>(r.lr);
    s.momentum = static_cast<float>(r.momentum);
    s.one_minus_dampening = static_cast<float>(r.one_minus_dampening);
    s.weight_decay = static_cast<float>(r.weight_decay);
    s.nesterov = r.nesterov, s.maximize = r.maximize, s.first = r.first;
    steps.add(kernels().optim->sgd, s);
  }
}

void adam_step(Steps& steps, const std::vector<AdamRange>& ranges, const Output& weight, const Floats& grad,
               const Output& m, const Output& v) {
  check_ranges(ranges, weight.size(), "adam_step");
  for (const AdamRange& r : ranges) {
    Adam a{};
    a.n = r.end - r.begin;
    a.weight = weight.data + r.begin;
    a.grad = grad.data + r.begin;
    a.m = m.data + r.begin, a.v = v.data + r.begin;
    a.beta1 = static_cast<float>(r.beta1), a.one_minus_beta1 = static_cast<float>(1 - r.beta1);
    a.beta2 = static_cast<float>(r.beta2), a.one_minus_beta2 = static_cast<float>(1 - r.beta2);
    a.lr_m = static_cast<float>(r.lr_m), a.scale_v = static_cast<float>(r.scale_v);
    a.eps = static_cast<float>(r.eps), a.weight_decay = static_cast<float>(r.weight_decay);
    a.decoupled = r.decoupled, a.maximize = r.maximize;
    steps.add(kernels().optim->adam, a);
  }
}

void sum_squares(Steps& steps, const Floats& x, double* out) {
  steps.add(kernels().optim->sum_squares, SumSquares{x.size(), x.data, out, nullptr});
}

}  // namespace fastnn

#include "ops/optimizer.h"

#include "contract/optim.h"
#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

const OptimizerKernel& rule_named(const std::string& name) {
  const OptimKernels& k = *kernels().optim;
  const auto end = k.rules + k.rule_count;
  const auto found = std::find_if(k.rules, end, [&](const OptimizerKernel& rule) { return name == rule.name; });
  check(found != end, "optimizer_step", [&] { return "there is no rule '" + name + "'"; });
  return *found;
}

OptimizerStep step_of(const OptimizerKernel& rule, const OptimizerRange& r, const Output& weight, const Floats& grad,
                      const std::vector<Output>& states) {
  const auto wrong = [&] {
    return "range " + std::to_string(r.begin) + ":" + std::to_string(r.end) + " of " + std::to_string(weight.size()) +
           " weights";
  };
  check(0 <= r.begin && r.begin <= r.end && r.end <= weight.size(), rule.name, wrong);
  check(static_cast<int>(r.options.size()) == rule.options, rule.name,
        [&] { return std::to_string(r.options.size()) + " options, expected " + std::to_string(rule.options); });
  OptimizerStep s{};
  s.n = r.end - r.begin;
  s.weight = weight.data + r.begin;
  s.grad = grad.data + r.begin;
  float* option = s.options;
  for (const double value : r.options) *option++ = static_cast<float>(value);
  const unsigned used = rule.used(s.options);
  for (int i = 0; i < rule.states; ++i) {
    if (!(used >> i & 1)) continue;
    check(static_cast<bool>(states[i]), rule.name, [&] { return "state " + std::to_string(i) + " is missing"; });
    s.states[i] = states[i].data + r.begin;
  }
  return s;
}

}  // namespace

void optimizer_step(Steps& steps, const std::string& name, const std::vector<OptimizerRange>& ranges,
                    const Output& weight, const Floats& grad, const std::vector<Output>& states) {
  const OptimizerKernel& rule = rule_named(name);
  check(static_cast<int>(states.size()) == rule.states, rule.name,
        [&] { return std::to_string(states.size()) + " states, expected " + std::to_string(rule.states); });
  std::vector<OptimizerStep> all;
  for (const OptimizerRange& r : ranges) all.push_back(step_of(rule, r, weight, grad, states));
  for (const OptimizerStep& s : all) steps.add(rule.step, s);
}

void sum_squares(Steps& steps, const Floats& x, double* out) {
  steps.add(kernels().optim->sum_squares, SumSquares{x.size(), x.data, out, nullptr});
}

}  // namespace fastnn

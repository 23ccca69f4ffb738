#include "ops/activation.h"

#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

void put_options(const ActivationKernels& f, const std::vector<double>& options, float* to, const char* op) {
  check(static_cast<int>(options.size()) == f.options, op, [&] {
    return std::string(f.name) + " has " + std::to_string(f.options) + " options, not " +
           std::to_string(options.size());
  });
  for (const double value : options) *to++ = static_cast<float>(value);
}

}  // namespace

const ActivationKernels& activation_named(const std::string& name, const char* op) {
  const ElementwiseKernels& k = *kernels().elementwise;
  const auto end = k.activations + k.activation_count;
  const auto found = std::find_if(k.activations, end, [&](const ActivationKernels& f) { return name == f.name; });
  check(found != end, op, [&] { return "there is no function '" + name + "'"; });
  return *found;
}

void activation_forward(Steps& steps, const ActivationKernels& f, const std::vector<double>& options, const Floats& x,
                        const Output& y) {
  Activation a{x.size(), {}, x.data, y.data};
  put_options(f, options, a.options, "activation_forward");
  steps.add(f.forward, a);
}

void activation_backward(Steps& steps, const ActivationKernels& f, const std::vector<double>& options,
                         const Floats& saved, const Floats& dy, const Output& dx) {
  const char* op = "activation_backward";
  check(f.backward.phases[0].run != nullptr, op, [&] { return std::string(f.name) + " has no backward"; });
  ActivationBackward a{saved.size(), {}, saved.data, dy.data, dx.data};
  put_options(f, options, a.options, op);
  steps.add(f.backward, a);
}

}  // namespace fastnn

#include "ops/activation.h"

#include <array>

#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {

// In the order of Function.
constexpr std::array<const char*, 10> kNames{"relu",    "leaky_relu", "gelu", "gelu_tanh", "silu",
                                             "sigmoid", "tanh",       "exp",  "log",       "erf"};

Function function_named(const std::string& name, bool gradient, const char* op) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  check(found != kNames.end(), op, [&] { return "there is no function '" + name + "'"; });
  const auto function = static_cast<Function>(found - kNames.begin());
  check(!gradient || function < Function::exp, op, [&] { return name + " has no backward"; });
  return function;
}

void activation_forward(Steps& steps, Function function, float slope, const Floats& x, const Output& y) {
  steps.add(kernels().elementwise->activation_forward, Activation{function, x.size(), slope, x.data, y.data});
}

void activation_backward(Steps& steps, Function function, float slope, const Floats& saved, const Floats& dy,
                         const Output& dx) {
  steps.add(kernels().elementwise->activation_backward,
            ActivationBackward{function, saved.size(), slope, saved.data, dy.data, dx.data});
}

}  // namespace fastnn

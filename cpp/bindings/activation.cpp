#include <array>

#include "arrays.h"
#include "contract/elementwise.h"

namespace fastnn {
namespace {

constexpr std::array<const char*, 10> kNames{"relu",    "leaky_relu", "gelu", "gelu_tanh", "silu",
                                             "sigmoid", "tanh",       "exp",  "log",       "erf"};

Function function_of(const std::string& name, const char* op) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (name == kNames[i]) return static_cast<Function>(i);
  throw py::value_error(std::string(op) + ": there is no function '" + name + "'");
}

F32 forward(const std::string& name, const F32& x, float slope) {
  const char* op = "activation_forward";
  const Function function = function_of(name, op);
  F32 y = empty_strided<float>(shape_of(x), require_dense(x, op, "x"));
  const Activation a{function, x.size(), slope, x.data(), y.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().elementwise->activation_forward, a);
  }
  return y;
}

F32 backward(const std::string& name, const F32& saved, const F32& dy, float slope) {
  const char* op = "activation_backward";
  const Function function = function_of(name, op);
  require(function < Function::exp, op, name + " has no backward");
  require_same_layout(saved, dy, op, "dy");
  F32 dx = empty_strided<float>(shape_of(saved), memory_order(saved));
  const ActivationBackward a{function, saved.size(), slope, saved.data(), dy.data(), dx.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().elementwise->activation_backward, a);
  }
  return dx;
}

}  // namespace

void bind_activation(py::module_& m) {
  m.def("activation_forward", &forward, "function"_a, "x"_a.noconvert(), "slope"_a = 0.0f);
  m.def("activation_backward", &backward, "function"_a, "saved"_a.noconvert(), "dy"_a.noconvert(), "slope"_a = 0.0f);
}

}  // namespace fastnn

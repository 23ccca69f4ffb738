// activation: y = f(x) and dx = f'(x) dy, elementwise over flat memory. Each element goes through the same vector code
// wherever it lies, so its bits do not depend on its neighbours.
#include "contract/elementwise.h"
#include "core/math.h"
#include "core/past.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

template <Function function>
[[gnu::always_inline]] inline vf apply(vf x, vf slope) {
  const vf half = splat(0.5f), one = splat(1.0f);
  switch (function) {
    case Function::relu:
      return x < vf{} ? vf{} : x;  // NaN stays
    case Function::leaky_relu:
      return x < vf{} ? x * slope : x;
    case Function::gelu:  // x times the normal distribution function (Hendrycks and Gimpel 2016)
      return x * (half * (one + erf(x * splat(0.70710678f))));
    case Function::gelu_tanh: {  // 1/2 (1 + tanh(u)) = sigmoid(2 u), which keeps its accuracy for negative u
      return x * sigmoid(x * fma(x * x, splat(0.071354816f), splat(1.5957691f)));
    }
    case Function::silu:
      return x * sigmoid(x);
    case Function::sigmoid:
      return sigmoid(x);
    case Function::tanh:
      return tanh(x);
    case Function::exp:
      return exp(x);
    case Function::log:
      return log(x);
    case Function::erf:
      return erf(x);
  }
  return x;
}

// f'(x) dy from what was saved: y for relu, sigmoid and tanh, else x.
template <Function function>
[[gnu::always_inline]] inline vf pull(vf saved, vf dy, vf slope) {
  const vf half = splat(0.5f), one = splat(1.0f);
  switch (function) {
    case Function::relu:
      return saved <= vf{} ? vf{} : dy;
    case Function::leaky_relu:
      return saved > vf{} ? dy : dy * slope;
    case Function::gelu: {  // the distribution function plus x times the density
      const vf density = exp(saved * saved * splat(-0.5f)) * splat(0.39894228f);
      return dy * fma(saved, density, half * (one + erf(saved * splat(0.70710678f))));
    }
    case Function::gelu_tanh: {  // s + x s (1 - s) u' with s = sigmoid(u); beyond |x| = 20, s is 0 or 1 exactly
      vf x = saved > splat(20.0f) ? splat(20.0f) : saved;
      x = x < splat(-20.0f) ? splat(-20.0f) : x;
      const vf square = x * x;
      const vf s = sigmoid(x * fma(square, splat(0.071354816f), splat(1.5957691f)));
      return dy * fma(x * s * (one - s), fma(square, splat(0.21406445f), splat(1.5957691f)), s);
    }
    case Function::silu: {
      const vf s = sigmoid(saved);
      return dy * (s * fma(saved, one - s, one));
    }
    case Function::sigmoid:
      return dy * (saved * (one - saved));
    case Function::tanh:
      return dy * (one - saved * saved);
    default:
      return dy;
  }
}

template <Function function>
void forward_range(const Activation& a, int64_t first, int64_t last) {
  const vf slope = splat(a.slope);
  const bool past = goes_past(a.y + first, a.size);
  for (; first + kLanes <= last; first += kLanes) store(a.y + first, apply<function>(load(a.x + first), slope), past);
  finish_past(past);
  if (first < last) store_n(a.y + first, apply<function>(load_n(a.x + first, last - first), slope), last - first);
}

template <Function function>
void backward_range(const ActivationBackward& a, int64_t first, int64_t last) {
  const vf slope = splat(a.slope);
  const bool past = goes_past(a.dx + first, a.size);
  for (; first + kLanes <= last; first += kLanes)
    store(a.dx + first, pull<function>(load(a.saved + first), load(a.dy + first), slope), past);
  finish_past(past);
  const int64_t n = last - first;
  if (n > 0) store_n(a.dx + first, pull<function>(load_n(a.saved + first, n), load_n(a.dy + first, n), slope), n);
}

void forward(const Activation& a, int64_t first, int64_t last) {
  switch (a.function) {
    case Function::relu:
      return forward_range<Function::relu>(a, first, last);
    case Function::leaky_relu:
      return forward_range<Function::leaky_relu>(a, first, last);
    case Function::gelu:
      return forward_range<Function::gelu>(a, first, last);
    case Function::gelu_tanh:
      return forward_range<Function::gelu_tanh>(a, first, last);
    case Function::silu:
      return forward_range<Function::silu>(a, first, last);
    case Function::sigmoid:
      return forward_range<Function::sigmoid>(a, first, last);
    case Function::tanh:
      return forward_range<Function::tanh>(a, first, last);
    case Function::exp:
      return forward_range<Function::exp>(a, first, last);
    case Function::log:
      return forward_range<Function::log>(a, first, last);
    case Function::erf:
      return forward_range<Function::erf>(a, first, last);
  }
}

void backward(const ActivationBackward& a, int64_t first, int64_t last) {
  switch (a.function) {
    case Function::relu:
      return backward_range<Function::relu>(a, first, last);
    case Function::leaky_relu:
      return backward_range<Function::leaky_relu>(a, first, last);
    case Function::gelu:
      return backward_range<Function::gelu>(a, first, last);
    case Function::gelu_tanh:
      return backward_range<Function::gelu_tanh>(a, first, last);
    case Function::silu:
      return backward_range<Function::silu>(a, first, last);
    case Function::sigmoid:
      return backward_range<Function::sigmoid>(a, first, last);
    case Function::tanh:
      return backward_range<Function::tanh>(a, first, last);
    default:
      return;
  }
}

// Floats to a task: a few microseconds, so relu, which only moves memory, gets more.
int64_t chunk(Function function) {
  return function == Function::relu || function == Function::leaky_relu ? 1 << 16 : 1 << 14;
}

int64_t forward_tasks(const Activation& a) { return ceil_div(a.size, chunk(a.function)); }
int64_t backward_tasks(const ActivationBackward& a) { return ceil_div(a.size, chunk(a.function)); }

void run_forward(const Activation& a, int64_t begin, int64_t end, float*) {
  forward(a, begin * chunk(a.function), min64(a.size, end * chunk(a.function)));
}

void run_backward(const ActivationBackward& a, int64_t begin, int64_t end, float*) {
  backward(a, begin * chunk(a.function), min64(a.size, end * chunk(a.function)));
}

}  // namespace

void add_activation(ElementwiseKernels& k) {
  k.activation_forward = {{{forward_tasks, nullptr, run_forward}}};
  k.activation_backward = {{{backward_tasks, nullptr, run_backward}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

// activation: y = f(x) and dx = f'(x) dy, elementwise over flat memory, for each f of functions.h. Each element goes
// through the same vector code wherever it lies, so its bits do not depend on its neighbours.
#include "contract/elementwise.h"
#include "core/past.h"
#include "functions.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// The options of a function, each in all lanes.
struct Options {
  vf values[kMostActivationOptions];

  [[gnu::always_inline]] explicit Options(const float* o) {
    for (int i = 0; i < kMostActivationOptions; ++i) values[i] = splat(o[i]);
  }
};

// flatten: the function is part of the loop, whatever it calls.
template <class F>
[[gnu::flatten]] void run_forward(const Activation& a, int64_t begin, int64_t end, float*) {
  const Options o(a.options);
  int64_t first = begin * F::kChunk;
  const int64_t last = min64(a.size, end * F::kChunk);
  const bool past = goes_past(a.y + first, a.size);
  for (; first + kLanes <= last; first += kLanes) store(a.y + first, F::value(load(a.x + first), o.values), past);
  finish_past(past);
  if (first < last) store_n(a.y + first, F::value(load_n(a.x + first, last - first), o.values), last - first);
}

template <class F>
[[gnu::flatten]] void run_backward(const ActivationBackward& a, int64_t begin, int64_t end, float*) {
  const Options o(a.options);
  int64_t first = begin * F::kChunk;
  const int64_t last = min64(a.size, end * F::kChunk);
  const bool past = goes_past(a.dx + first, a.size);
  for (; first + kLanes <= last; first += kLanes)
    store(a.dx + first, F::pull(load(a.saved + first), load(a.dy + first), o.values), past);
  finish_past(past);
  const int64_t n = last - first;
  if (n > 0) store_n(a.dx + first, F::pull(load_n(a.saved + first, n), load_n(a.dy + first, n), o.values), n);
}

template <class F, class Args>
int64_t tasks(const Args& a) {
  return ceil_div(a.size, F::kChunk);
}

template <class F>
ActivationKernels values_of(const char* name) {
  static_assert(F::kOptions <= kMostActivationOptions, "the contract has no room for so many");
  return {name, F::kOptions, F::kFromOutput, {{{tasks<F, Activation>, nullptr, run_forward<F>}}}, {}};
}

template <class F>
ActivationKernels both_of(const char* name) {
  ActivationKernels k = values_of<F>(name);
  k.backward = {{{tasks<F, ActivationBackward>, nullptr, run_backward<F>}}};
  return k;
}

}  // namespace

void add_activation(ElementwiseKernels& k) {
  static const ActivationKernels rows[] = {
      // clang-format off
      both_of<Elu>("elu"),
      values_of<Erf>("erf"),  // for the tests of core/math.h, as exp and log
      values_of<Exp>("exp"),
      both_of<Gelu>("gelu"),
      both_of<GeluTanh>("gelu_tanh"),
      both_of<Hardswish>("hardswish"),
      both_of<LeakyRelu>("leaky_relu"),
      values_of<Log>("log"),
      both_of<Relu>("relu"),
      both_of<Sigmoid>("sigmoid"),
      both_of<Silu>("silu"),
      both_of<Softplus>("softplus"),
      both_of<Tanh>("tanh"),
      // clang-format on
  };
  k.activations = rows;
  k.activation_count = sizeof rows / sizeof rows[0];
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

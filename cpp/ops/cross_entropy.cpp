#include "ops/cross_entropy.h"

#include "contract/loss.h"
#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

CrossEntropy args_of(float smoothing, const Floats& x, const Floats& weight, const CrossEntropyResult& result) {
  CrossEntropy a{};
  a.rows = x.sizes[0], a.columns = x.sizes[1], a.smoothing = smoothing, a.scale = 1;
  a.x = x.data, a.weight = weight.data;
  a.total = result.total.data, a.losses = result.losses.data, a.dx = result.dx.data;
  return a;
}

// Sum of the weights of the rows that count. The kernel does not look again.
double checked_weights(const CrossEntropy& a) {
  double total = 0;
  for (int64_t i = 0; i < a.rows; ++i) {
    const int64_t target = a.target[i];
    if (target == a.ignore_index) continue;
    if (target < 0 || target >= a.columns)
      throw std::out_of_range("cross_entropy: target number " + std::to_string(i) + " is " + std::to_string(target) +
                              ", expected 0 to " + std::to_string(a.columns - 1) + " or ignore_index " +
                              std::to_string(a.ignore_index));
    total += a.weight ? a.weight[target] : 1.0;
  }
  return total;
}

}  // namespace

void cross_entropy(Steps& steps, bool mean, float smoothing, int64_t ignore_index, const Floats& x, const Ints& target,
                   const Floats& weight, const CrossEntropyResult& result) {
  CrossEntropy a = args_of(smoothing, x, weight, result);
  a.target = target.data, a.ignore_index = ignore_index;
  steps.call([a, mean, &kernel = kernels().loss->cross_entropy] {
    CrossEntropy scaled = a;
    const double weights = checked_weights(a);
    if (mean) scaled.scale = 1 / weights;
    launch(kernel, scaled);
  });
}

void cross_entropy_probabilities(Steps& steps, bool mean, float smoothing, const Floats& x, const Floats& target,
                                 const Floats& weight, const CrossEntropyResult& result) {
  CrossEntropy a = args_of(smoothing, x, weight, result);
  a.probabilities = target.data;
  if (mean) a.scale = 1 / static_cast<double>(a.rows);
  steps.add(kernels().loss->cross_entropy, a);
}

}  // namespace fastnn

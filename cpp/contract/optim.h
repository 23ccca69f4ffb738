// The contract of the optimizers; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- optimizer -----------------------------------------------------------------------------------------------------
// One step of an optimizer over n weights, in place. Which rules there are, optim/rules.h says.
constexpr int kMostStates = 3, kMostRuleOptions = 10;
struct OptimizerStep {
  int64_t n;
  float* weight;
  const float* grad;
  float* states[kMostStates];       // (n) each; those that the step does not use may be null
  float options[kMostRuleOptions];  // of the rule, in its order
};
struct OptimizerKernel {
  const char* name;
  int states, options;                     // how many the rule has
  unsigned (*used)(const float* options);  // bit i: a step with these options uses state i
  Kernel<OptimizerStep> step;
};
// *out = sum of the squares of x (n), in double.
struct SumSquares {
  int64_t n;
  const float* x;
  double* out;
  float* workspace;
};

struct OptimKernels {
  const OptimizerKernel* rules;
  int rule_count;
  Kernel<SumSquares> sum_squares;
};

}  // namespace fastnn

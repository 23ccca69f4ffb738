// optimizer: steps in place on flat arrays, however many ranges with options of their own they have; and the sum of
// squares that clipping needs.
#pragma once
#include <string>
#include <vector>

#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

struct OptimizerRange {
  int64_t begin, end;
  std::vector<double> options;  // of the rule
};

// One step by the rule of that name. Arrays are flat and of one size; states, all that the rule has, are none where no
// range uses them. What does not fit is a std::invalid_argument, before anything is changed.
void optimizer_step(Steps& steps, const std::string& rule, const std::vector<OptimizerRange>& ranges,
                    const Output& weight, const Floats& grad, const std::vector<Output>& states);

// *out = the sum of the squares of x, which is flat.
void sum_squares(Steps& steps, const Floats& x, double* out);

}  // namespace fastnn

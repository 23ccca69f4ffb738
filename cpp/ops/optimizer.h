// optimizer: steps in place on flat arrays, however many ranges with options of their own they have; and the sum of
// squares that clipping needs.
#pragma once
#include <vector>

#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

struct SgdRange {
  int64_t begin, end;
  double lr, momentum, one_minus_dampening, weight_decay;
  bool nesterov, maximize, first;
};
struct AdamRange {
  int64_t begin, end;
  double beta1, beta2, lr_m, scale_v, eps, weight_decay;
  bool decoupled, maximize;
};

// Arrays are flat and of one size, buffer one or none. A range that is not inside them is a std::invalid_argument,
// before anything is changed.
void sgd_step(Steps& steps, const std::vector<SgdRange>& ranges, const Output& weight, const Floats& grad,
              const Output& buffer);
void adam_step(Steps& steps, const std::vector<AdamRange>& ranges, const Output& weight, const Floats& grad,
               const Output& m, const Output& v);

// *out = the sum of the squares of x, which is flat.
void sum_squares(Steps& steps, const Floats& x, double* out);

}  // namespace fastnn

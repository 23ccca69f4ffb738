// row_sums: the sum of each row, in double precision. Not a kernel: one thread reads as fast as memory gives.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// y (rows) = the sum of each row of x (rows, length), C-contiguous, over divisor. A row does not depend on the others.
void row_sums(Steps& steps, double divisor, const Floats& x, const View<double>& y);
// The same, rounded at the end.
void row_means(Steps& steps, double divisor, const Floats& x, const Output& y);

}  // namespace fastnn

// sum_rows: the sum over the rows of a matrix, as the gradient of a bias is.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// y (columns) of x (rows, columns), C-contiguous.
void sum_rows(Steps& steps, const Floats& x, const Output& y);

}  // namespace fastnn

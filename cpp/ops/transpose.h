// transpose: the last two axes exchanged.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// x (n, rows, columns), y (n, columns, rows), C-contiguous.
void transpose(Steps& steps, const Floats& x, const Output& y);

}  // namespace fastnn

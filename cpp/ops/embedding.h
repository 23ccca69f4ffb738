// embedding: the rows of a table that indices name, and its gradient; take_rows, the same where there may be none.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// All C-contiguous: indices (count), weight (rows, width), y (count, width). An index outside the table is a
// std::out_of_range where the steps are run.
void embedding_forward(Steps& steps, const Ints& indices, const Floats& weight, const Output& y);
// dw (rows, width): sums of the rows of dy (count, width); row `skip` is zero (-1: none).
void embedding_backward(Steps& steps, const Ints& indices, const Floats& dy, int64_t skip, const Output& dw);
// y (count, width): rows of x (rows, width), zeros where the index is -1.
void take_rows(Steps& steps, const Floats& x, const Ints& index, const Output& y);

}  // namespace fastnn

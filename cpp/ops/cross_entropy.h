// cross_entropy: of the softmax of each row and a class, or probabilities of all classes; and its gradient.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// total (1): the sum of the losses, or their mean over the weights of the rows that count; losses (rows) or none; dx
// (rows, columns), the gradient of total, or none.
struct CrossEntropyResult {
  Output total, losses, dx;
};

// All C-contiguous: x (rows, columns), target (rows), weight (columns) or none. A target that is neither a class nor
// ignore_index is a std::out_of_range where the steps are run.
void cross_entropy(Steps& steps, bool mean, float smoothing, int64_t ignore_index, const Floats& x, const Ints& target,
                   const Floats& weight, const CrossEntropyResult& result);
// target (rows, columns)
void cross_entropy_probabilities(Steps& steps, bool mean, float smoothing, const Floats& x, const Floats& target,
                                 const Floats& weight, const CrossEntropyResult& result);

}  // namespace fastnn

// pointwise_loss: the sum of a function of outputs and targets times `scale`, and its gradients.
#pragma once
#include <string>
#include <vector>

#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// All flat and of one size; no weights: ones.
struct PointwiseLossArrays {
  Floats x, target, weight, pos_weight;
};
// total (1); losses, dx and dtarget of the size of x, or none.
struct PointwiseLossResult {
  Output total, losses, dx, dtarget;
};

// Throws std::invalid_argument where there is no function of that name, or one of other options or without weights.
void pointwise_loss(Steps& steps, const std::string& name, const std::vector<double>& options, double scale,
                    const PointwiseLossArrays& arrays, const PointwiseLossResult& result);

}  // namespace fastnn

// crf: chains of tags: their loss with its gradients, and the best one.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// All C-contiguous: emissions (t, n, k), transitions (k, k), start, end (k), lengths (n).
struct CrfArrays {
  Floats emissions, transitions, start, end;
  Ints lengths;
};
// Throws std::invalid_argument where there are no steps or tags, std::length_error where sizes are too large.
void check_crf_sizes(int64_t t, int64_t n, int64_t k, const char* op);

// losses (n); of their sum times weights (n): d_emissions as emissions, d_transitions as transitions, d_bounds (2, k),
// of start and end; none, or none of transitions only.
struct CrfResult {
  Output losses, d_emissions, d_transitions, d_bounds;
};
// tags (t, n). A length or a tag that is none is a std::invalid_argument or a std::out_of_range where the steps are
// run.
void crf_loss(Steps& steps, const CrfArrays& chains, const Ints& tags, const Floats& weights, const CrfResult& result);
// tags (n, t), -1 beyond lengths; scores (n)
void crf_decode(Steps& steps, const CrfArrays& chains, const View<int64_t>& tags, const Output& scores);

}  // namespace fastnn

// ctc: the loss of labels without alignment with its gradient, and the likeliest labels; ctc_beam.h has the beam
// search.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// Throws std::invalid_argument where blank is no class of log_probs.
void check_ctc_blank(const Floats& log_probs, int64_t blank, const char* op);
// Throws std::invalid_argument where one is not in [0, t].
void check_ctc_frames(const Floats& log_probs, const Ints& frames, const char* op);

// All C-contiguous. Labels of sample i: lengths[i] of them from starts[i] of labels; frames, lengths, starts and
// weights (n). losses (n); dx (t, n, c), the gradient of their sum times weights, or none. What does not fit of frames,
// starts, lengths and labels is an exception where the steps are run: std::invalid_argument, std::length_error, or
// std::out_of_range of a label that is no class.
struct CtcTargets {
  Ints labels, starts, lengths;
};
void ctc_loss(Steps& steps, int64_t blank, bool zero_infinity, const Floats& log_probs, const Ints& frames,
              const CtcTargets& targets, const Floats& weights, const Output& losses, const Output& dx);

// labels (n, t), of which counts (n) are some, then -1; scores (n)
void ctc_greedy(Steps& steps, int64_t blank, const Floats& log_probs, const Ints& frames, const View<int64_t>& labels,
                const View<int64_t>& counts, const Output& scores);

}  // namespace fastnn

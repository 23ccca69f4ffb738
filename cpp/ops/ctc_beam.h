// Prefix beam search over the outputs of a network trained with CTC. Not a kernel: it follows pointers, has nothing for
// vectors to do and needs the containers of the standard library, which kernel files must not use.
#pragma once
#include <cstdint>
#include <vector>

#include "ops/view.h"

namespace fastnn {

struct CtcLabelling {
  std::vector<int64_t> labels;
  double score;  // log of the probability of all alignments found that give these labels
};

// The `width` best of each sample, best first, of log_probs (t, n, c), C-contiguous, and how many of the frames count
// (n); one task is one sample. Throws std::invalid_argument where blank, width or frames do not fit.
std::vector<std::vector<CtcLabelling>> ctc_beam(int64_t blank, int64_t width, const Floats& log_probs,
                                                const Ints& frames);

}  // namespace fastnn

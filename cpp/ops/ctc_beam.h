// Prefix beam search over the outputs of a network trained with CTC. Not a kernel: it follows pointers, has nothing for
// vectors to do and needs the containers of the standard library, which kernel files must not use.
#pragma once
#include <cstdint>
#include <vector>

namespace fastnn {

struct CtcBeam {
  int64_t t, n, c, blank, width;
  const float* x;         // (t, n, c)
  const int64_t* frames;  // (n), in [0, t]
};
struct CtcLabelling {
  std::vector<int64_t> labels;
  double score;  // log of the probability of all alignments found that give these labels
};

// The beam of each sample at its last frame, best first; one task is one sample.
std::vector<std::vector<CtcLabelling>> ctc_beam(const CtcBeam& a);

}  // namespace fastnn

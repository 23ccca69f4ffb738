// ctc_greedy: the labels of the likeliest alignment: the best class of each frame, repeats merged, blanks dropped. One
// task is one sample.
#include "contract/loss.h"
#include "core/row.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

void run(const CtcGreedy& a, int64_t begin, int64_t end, float*) {
  for (int64_t n = begin; n < end; ++n) {
    int64_t count = 0, before = a.blank;
    double score = 0;
    for (int64_t t = 0; t < a.frames[n]; ++t) {
      const float* x = a.x + (t * a.n + n) * a.c;
      const float top = row_max(x, a.c);
      int64_t best = 0;
      while (best < a.c && x[best] != top) ++best;
      if (best == a.c) best = a.blank;  // NaN
      score += x[best];
      if (best != before && best != a.blank) a.labels[n * a.t + count++] = best;
      before = best;
    }
    a.counts[n] = count;
    for (; count < a.t; ++count) a.labels[n * a.t + count] = -1;
    a.scores[n] = (float)score;
  }
}

int64_t tasks(const CtcGreedy& a) { return a.n; }

}  // namespace

void add_ctc_greedy(LossKernels& k) { k.ctc_greedy = {{{tasks, nullptr, run}}}; }

}  // namespace FASTNN_ISA
}  // namespace fastnn

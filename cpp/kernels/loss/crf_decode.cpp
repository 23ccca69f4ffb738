// crf_decode: the chain of tags with the highest score (Viterbi 1967). best(t, tag) is the highest score of the
// beginnings of chains that have that tag at step t, and `before` the tag they have at step t - 1. Scores are added up
// in float64, where sums of floats that are equal on paper mostly are. One task is one sample.
#include "contract/loss.h"
#include "core/wide.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

typedef int32_t vhi __attribute__((vector_size(kDoubles * 4)));

int64_t width(int64_t k) { return ceil_div(k, kDoubles) * kDoubles; }

// Floats: transitions and two rows of scores in doubles, then t rows of tags.
int64_t scratch_floats(const CrfDecode& a) { return width(a.g.k) * (2 * (a.g.k + 2) + a.g.t); }

// The best of k ways to each tag of a vector, and which it is; the first of equals.
vd best_way(const double* transitions, const double* best, int64_t k, int64_t width, int32_t* before) {
  vd top = splat_double(-__builtin_inf()), from = {};
  for (int64_t i = 0; i < k; ++i) {
    const vd score = splat_double(best[i]) + load_doubles(transitions + i * width);
    const vl better = score > top;
    top = better ? score : top;
    from = better ? splat_double((double)i) : from;
  }
  const vhi index = __builtin_convertvector(from, vhi);
  __builtin_memcpy(before, &index, sizeof index);
  return top;
}

// Of the last step: the tag of the highest score with `end`.
int64_t best_last(const Crf& g, const double* best, double* score) {
  int64_t tag = 0;
  *score = -__builtin_inf();
  for (int64_t i = 0; i < g.k; ++i)
    if (best[i] + g.end[i] > *score) *score = best[i] + g.end[i], tag = i;
  return tag;
}

void sample(const CrfDecode& a, int64_t n, const double* transitions, double* best, int32_t* before) {
  const Crf& g = a.g;
  const int64_t w = width(g.k), length = g.lengths[n];
  double* next = best + w;
  for (int64_t i = 0; i < g.k; ++i) best[i] = (double)g.start[i] + g.emissions[n * g.k + i];
  for (int64_t t = 1; t < length; ++t) {
    for (int64_t j = 0; j < w; j += kDoubles)
      store_doubles(next + j, best_way(transitions + j, best, g.k, w, before + t * w + j));
    const float* x = g.emissions + (t * g.n + n) * g.k;
    for (int64_t i = 0; i < g.k; ++i) best[i] = next[i] + x[i];
  }
  double score;
  int64_t* tags = a.tags + n * g.t;
  tags[length - 1] = best_last(g, best, &score);
  a.scores[n] = (float)score;
  for (int64_t t = length - 1; t > 0; --t) tags[t - 1] = before[t * w + tags[t]];
  for (int64_t t = length; t < g.t; ++t) tags[t] = -1;
}

void run(const CrfDecode& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t k = a.g.k, w = width(k);
  double* transitions = reinterpret_cast<double*>(scratch);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < w; ++j) transitions[i * w + j] = j < k ? a.g.transitions[i * k + j] : 0;
  double* best = transitions + k * w;
  for (int64_t n = begin; n < end; ++n) sample(a, n, transitions, best, reinterpret_cast<int32_t*>(best + 2 * w));
}

int64_t tasks(const CrfDecode& a) { return a.g.n; }

}  // namespace

void add_crf_decode(LossKernels& k) { k.crf_decode = {{{tasks, scratch_floats, run}}}; }

}  // namespace FASTNN_ISA
}  // namespace fastnn

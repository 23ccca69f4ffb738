// The contract of the losses and of their decoders; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- cross_entropy -------------------------------------------------------------------------------------------------
// Loss of row r: -sum over c of q[c] log(softmax(x[r]))[c], and its gradient times `scale`, in one sweep.
// q = weight * ((1 - smoothing) * onehot(target) + smoothing / columns), or with the probabilities instead of the
// onehot. Rows whose target is ignore_index or outside [0, columns) have loss and gradient 0.
struct CrossEntropy {
  int64_t rows, columns;
  const float* x;              // (rows, columns)
  const int64_t* target;       // (rows), or null: then
  const float* probabilities;  // (rows, columns)
  const float* weight;         // (columns); null: ones
  int64_t ignore_index;
  float smoothing;
  double scale;   // of gradient and total, not of losses
  float* losses;  // (rows) or null
  float* dx;      // (rows, columns) or null
  float* workspace;
  float* total;  // (1): scale times the sum of the losses
};

// ---- crf -----------------------------------------------------------------------------------------------------------
// Chains of tags, one of k at each of the first lengths[i] steps of sample i. A chain scores start of its first tag,
// end of its last, emissions of each tag and transitions (from, to) of each pair.
struct Crf {
  int64_t t, n, k;
  const float* emissions;    // (t, n, k)
  const float* transitions;  // (k, k)
  const float *start, *end;  // (k)
  const int64_t* lengths;    // (n), in [1, t]
};
// losses (n): log(sum over all chains of exp(score)) - score of the chain tags (t, n), all in [0, k) as far as they
// count; and the gradients of the sum of losses times weights (n).
struct CrfLoss {
  Crf g;
  const int64_t* tags;
  const float* weights;
  float* losses;
  float* d_emissions;               // (t, n, k), zero beyond lengths; null: no gradients
  float *d_transitions, *d_bounds;  // (k, k), (2, k): of start and end
  float* workspace;
};
// tags (n, t): the chain with the highest score, -1 beyond lengths; of equals the first, compared from the last tag
// back.
struct CrfDecode {
  Crf g;
  int64_t* tags;
  float* scores;  // (n)
};

// ---- ctc -----------------------------------------------------------------------------------------------------------
// losses (n): -log of the probability that log_probs x (t, n, c), of which the first `frames` of a sample count, give
// to its labels, over all alignments; dx = its gradient times weights (n), zero in frames that do not count.
struct Ctc {
  int64_t t, n, c, s;  // s: the largest of lengths
  int64_t blank;
  const float* x;
  const int64_t* labels;   // of sample i: lengths[i] of them from starts[i], all in [0, c), none is the blank
  const int64_t* starts;   // (n)
  const int64_t* lengths;  // (n)
  const int64_t* frames;   // (n), in [0, t]
  const float* weights;    // (n)
  bool zero_infinity;      // where there is no alignment: loss and gradient 0, not infinity and NaN
  float* losses;           // (n)
  float* dx;               // (t, n, c) or null
};
// labels (n, t): the likeliest class of each frame, the first of equals, runs of one class as one, without blanks; of
// these there are counts (n), then -1. scores (n): the sums of the log_probs taken. A frame of NaNs counts as blank.
struct CtcGreedy {
  int64_t t, n, c, blank;
  const float* x;         // (t, n, c)
  const int64_t* frames;  // (n), in [0, t]
  int64_t *labels, *counts;
  float* scores;
};

// ---- pointwise_loss ------------------------------------------------------------------------------------------------
// total = scale * sum of weight f(x, target), in float64, and its gradients; losses are weight f(x, target). Which
// functions f there are, loss/functions.h says.
constexpr int kMostLossOptions = 1;
struct PointwiseLoss {
  int64_t size;
  double options[kMostLossOptions];  // of f, in its order
  const float *x, *target;           // (size)
  const float *weight, *pos_weight;  // (size); null: ones
  double scale;                      // of gradients and total
  float* losses;                     // (size) or null
  float *dx, *dtarget;               // (size) or null
  float* workspace;
  float* total;  // (1)
};
struct PointwiseLossKernel {
  const char* name;
  int options;    // how many f has
  bool weighted;  // whether it looks at weight and pos_weight
  Kernel<PointwiseLoss> kernel;
};

struct LossKernels {
  Kernel<CrfLoss> crf_loss;
  Kernel<CrfDecode> crf_decode;
  Kernel<CrossEntropy> cross_entropy;
  Kernel<Ctc> ctc;
  Kernel<CtcGreedy> ctc_greedy;
  const PointwiseLossKernel* pointwise;
  int pointwise_count;
};

}  // namespace fastnn

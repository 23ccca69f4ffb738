// pointwise_loss: scale * sum of weight f(x, target) and its gradients, for each f of functions.h. Sums go by chunks of
// the shape, added up in order, so that no number of threads changes them.
#include "contract/loss.h"
#include "core/math.h"
#include "functions.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunk = 1 << 14;  // floats to a task
constexpr int64_t kSums = 16;        // independent sums in a task: enough for the latency of additions

int64_t tasks(const PointwiseLoss& a) { return ceil_div(a.size, kChunk); }
double* partials(const PointwiseLoss& a) { return reinterpret_cast<double*>(a.workspace); }  // one per task
int64_t workspace(const PointwiseLoss& a) { return 2 * tasks(a); }

// n elements from `first`, zeros up to kSums, as L sees them.
template <class L>
struct Block {
  double x[kSums] = {}, target[kSums] = {};
  float e[kSums] = {}, l[kSums], weight[kSums], pos_weight[kSums];  // those that L looks at

  [[gnu::always_inline]] Block(const PointwiseLoss& a, int64_t first, int64_t n) {
    for (int64_t j = 0; j < n; ++j) x[j] = a.x[first + j], target[j] = a.target[first + j];
    if (L::kExponentials) {
      for (int64_t j = 0; j < n; ++j) e[j] = a.x[first + j];
      for (int64_t j = 0; j < kSums; j += kLanes) {
        const vf power = exp(-abs(load(e + j)));
        store(e + j, power);
        store(l + j, log1p(power));
      }
    }
    if (L::kWeighted) {
      for (int64_t j = 0; j < n; ++j) weight[j] = a.weight ? a.weight[first + j] : 1;
      for (int64_t j = 0; j < n; ++j) pos_weight[j] = a.pos_weight ? a.pos_weight[first + j] : 1;
    }
  }
  [[gnu::always_inline]] Element at(int64_t j) const {
    const double p = L::kWeighted ? pos_weight[j] : 1;
    return L::kExponentials ? Element{x[j], target[j], p, e[j], l[j]} : Element{x[j], target[j], p, 0, 0};
  }
  [[gnu::always_inline]] double weighted(int64_t j, double y) const { return L::kWeighted ? weight[j] * y : y; }
};

// Adds n losses to the sums and writes what is wanted.
template <class L>
[[gnu::always_inline]] inline void add(const PointwiseLoss& a, int64_t first, int64_t n, double* sums) {
  const Block<L> b(a, first, n);
  const double *o = a.options, scale = a.scale;
  for (int64_t j = 0; j < n; ++j) sums[j] += b.weighted(j, L::loss(b.at(j), o));
  if (a.dx)
    for (int64_t j = 0; j < n; ++j) a.dx[first + j] = (float)(scale * b.weighted(j, L::dx(b.at(j), o)));
  if (a.dtarget)
    for (int64_t j = 0; j < n; ++j) a.dtarget[first + j] = (float)(scale * b.weighted(j, L::dtarget(b.at(j), o)));
  if (a.losses)
    for (int64_t j = 0; j < n; ++j) a.losses[first + j] = (float)b.weighted(j, L::loss(b.at(j), o));
}

// flatten: the function is part of the loop, whatever it calls.
template <class L>
[[gnu::flatten]] void run_partial(const PointwiseLoss& a, int64_t begin, int64_t end, float*) {
  for (int64_t task = begin; task < end; ++task) {
    double sums[kSums] = {};
    const int64_t last = min64(a.size, (task + 1) * kChunk);
    int64_t i = task * kChunk;
    for (; i + kSums <= last; i += kSums) add<L>(a, i, kSums, sums);
    if (i < last) add<L>(a, i, last - i, sums);
    for (int64_t half = kSums / 2; half > 0; half /= 2)
      for (int64_t j = 0; j < half; ++j) sums[j] += sums[j + half];
    partials(a)[task] = sums[0];
  }
}

int64_t one_task(const PointwiseLoss&) { return 1; }

void run_total(const PointwiseLoss& a, int64_t, int64_t, float*) {
  double total = 0;
  for (int64_t task = 0; task < tasks(a); ++task) total += partials(a)[task];
  *a.total = (float)(a.scale * total);
}

template <class L>
PointwiseLossKernel row(const char* name) {
  static_assert(L::kOptions <= kMostLossOptions, "the contract has no room for so many");
  return {name,
          L::kOptions,
          L::kWeighted,
          {{{tasks, nullptr, run_partial<L>}, {one_task, nullptr, run_total}}, workspace, &PointwiseLoss::workspace}};
}

}  // namespace

void add_pointwise_loss(LossKernels& k) {
  static const PointwiseLossKernel rows[] = {
      // clang-format off
      row<BinaryCrossEntropyWithLogits>("binary_cross_entropy_with_logits"),
      row<HuberLoss>("huber_loss"),
      row<L1Loss>("l1_loss"),
      row<MseLoss>("mse_loss"),
      // clang-format on
  };
  k.pointwise = rows;
  k.pointwise_count = sizeof rows / sizeof rows[0];
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

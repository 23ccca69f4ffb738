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

// kSums elements and where their results go; null: nowhere, and weights of ones.
struct Place {
  const float *x, *target, *weight, *pos_weight;
  float *losses, *dx, *dtarget;
};

Place place(const PointwiseLoss& a, int64_t i) {
  const auto at = [i](auto* p) { return p ? p + i : p; };
  return {a.x + i, a.target + i, at(a.weight), at(a.pos_weight), at(a.losses), at(a.dx), at(a.dtarget)};
}

// Elements j to j + kDoubles. powers: e and l of all kSums.
template <class L>
Elements elements(const Place& p, int64_t j, const float (*powers)[kSums]) {
  Elements a{load_as_doubles(p.x + j), load_as_doubles(p.target + j), splat_double(1), vd{}, vd{}};
  if (L::kWeighted && p.pos_weight) a.pos_weight = load_as_doubles(p.pos_weight + j);
  if (L::kExponentials) a.e = load_as_doubles(powers[0] + j), a.l = load_as_doubles(powers[1] + j);
  return a;
}

// Writes what is wanted of kSums elements and adds the losses of the first n to the sums.
template <class L>
void add(const Place& p, const double* o, double scale, int64_t n, vd* sums) {
  float powers[2][kSums];
  for (int64_t j = 0; L::kExponentials && j < kSums; j += kLanes) {
    const vf power = exp(-abs(load(p.x + j)));
    store(powers[0] + j, power);
    store(powers[1] + j, log1p(power));
  }
  for (int64_t j = 0; j < kSums; j += kDoubles) {
    const Elements a = elements<L>(p, j, powers);
    const vd w = L::kWeighted && p.weight ? load_as_doubles(p.weight + j) : splat_double(1);
    const auto weighted = [&](vd y) { return L::kWeighted ? w * y : y; };
    vd loss = weighted(L::loss(a, o));
    if (p.losses) store_as_floats(p.losses + j, loss);
    if (p.dx) store_as_floats(p.dx + j, scale * weighted(L::dx(a, o)));
    if (p.dtarget) store_as_floats(p.dtarget + j, scale * weighted(L::dtarget(a, o)));
    for (int64_t lane = 0; n < kSums && lane < kDoubles; ++lane) loss[lane] = j + lane < n ? loss[lane] : 0;
    sums[j / kDoubles] += loss;
  }
}

// The last n < kSums elements, in memory of our own with zeros after them.
template <class L>
void add_last(const PointwiseLoss& a, int64_t i, int64_t n, vd* sums) {
  float in[4][kSums] = {}, out[3][kSums];
  const Place at = place(a, i);
  const float* from[] = {at.x, at.target, at.weight, at.pos_weight};
  float* to[] = {at.losses, at.dx, at.dtarget};
  for (int k = 0; k < 4; ++k)
    for (int64_t j = 0; from[k] && j < n; ++j) in[k][j] = from[k][j];
  const Place own{in[0],
                  in[1],
                  at.weight ? in[2] : nullptr,
                  at.pos_weight ? in[3] : nullptr,
                  at.losses ? out[0] : nullptr,
                  at.dx ? out[1] : nullptr,
                  at.dtarget ? out[2] : nullptr};
  add<L>(own, a.options, a.scale, n, sums);
  for (int k = 0; k < 3; ++k)
    for (int64_t j = 0; to[k] && j < n; ++j) to[k][j] = out[k][j];
}

// The sum of n losses from element i on. flatten: L is part of the loop, whatever it calls.
template <class L>
[[gnu::flatten]] double sum_of(const PointwiseLoss& args, int64_t i, int64_t n) {
  const PointwiseLoss a = args;  // a copy of our own: stores cannot change it
  vd vectors[kSums / kDoubles] = {};
  const int64_t last = i + n;
  for (; i + kSums <= last; i += kSums) add<L>(place(a, i), a.options, a.scale, kSums, vectors);
  if (i < last) add_last<L>(a, i, last - i, vectors);
  double sums[kSums];
  for (int64_t j = 0; j < kSums; j += kDoubles) store_doubles(sums + j, vectors[j / kDoubles]);
  for (int64_t half = kSums / 2; half > 0; half /= 2)
    for (int64_t j = 0; j < half; ++j) sums[j] += sums[j + half];
  return sums[0];
}

template <class L>
void run_partial(const PointwiseLoss& a, int64_t begin, int64_t end, float*) {
  for (int64_t task = begin; task < end; ++task)
    partials(a)[task] = sum_of<L>(a, task * kChunk, min64(kChunk, a.size - task * kChunk));
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

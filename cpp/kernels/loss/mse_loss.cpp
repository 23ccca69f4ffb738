// mse_loss: scale * sum of (x - target)^2 and its gradient, differences, squares and sums in float64: they neither
// overflow nor cancel. Sums go by chunks of the shape, added up in order.
#include "contract/loss.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunk = 1 << 14;  // floats to a task
constexpr int64_t kSums = 16;        // independent sums in a task: enough for the latency of additions

int64_t tasks(const MseLoss& m) { return ceil_div(m.size, kChunk); }
double* partials(const MseLoss& m) { return reinterpret_cast<double*>(m.workspace); }  // one per task
int64_t workspace(const MseLoss& m) { return 2 * tasks(m); }

double run_chunk(const MseLoss& m, int64_t first, int64_t n) {
  const float *x = m.x + first, *target = m.target + first;
  double sums[kSums] = {};
  for (int64_t i = 0; i < n; i += kSums) {
    double d[kSums] = {};
    const int64_t left = min64(kSums, n - i);
    if (left == kSums)
      for (int64_t j = 0; j < kSums; ++j) d[j] = (double)x[i + j] - (double)target[i + j];
    else
      for (int64_t j = 0; j < left; ++j) d[j] = (double)x[i + j] - (double)target[i + j];
    for (int64_t j = 0; j < kSums; ++j) sums[j] += d[j] * d[j];
    if (m.dx && left == kSums)
      for (int64_t j = 0; j < kSums; ++j) m.dx[first + i + j] = (float)(2 * m.scale * d[j]);
    else if (m.dx)
      for (int64_t j = 0; j < left; ++j) m.dx[first + i + j] = (float)(2 * m.scale * d[j]);
    if (m.losses)
      for (int64_t j = 0; j < left; ++j) m.losses[first + i + j] = (float)(d[j] * d[j]);
  }
  for (int64_t half = kSums / 2; half > 0; half /= 2)
    for (int64_t j = 0; j < half; ++j) sums[j] += sums[j + half];
  return sums[0];
}

void run_partial(const MseLoss& m, int64_t begin, int64_t end, float*) {
  for (int64_t task = begin; task < end; ++task)
    partials(m)[task] = run_chunk(m, task * kChunk, min64(kChunk, m.size - task * kChunk));
}

int64_t one_task(const MseLoss&) { return 1; }

void run_total(const MseLoss& m, int64_t, int64_t, float*) {
  double total = 0;
  for (int64_t task = 0; task < tasks(m); ++task) total += partials(m)[task];
  *m.total = (float)(m.scale * total);
}

}  // namespace

void add_mse_loss(LossKernels& k) {
  k.mse_loss = {{{tasks, nullptr, run_partial}, {one_task, nullptr, run_total}}, workspace, &MseLoss::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

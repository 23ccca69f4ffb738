// roofline: what this machine can do at most, for benchmarks. peak: multiply-adds that never leave the registers;
// copy: y = x. A task of peak is a chain of `steps` on kChains independent vectors, enough to hide the latency of an
// FMA (4 cycles, 2 per cycle) with registers to spare.
#include "contract/roofline.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChains = 12;
constexpr int64_t kCopyFloats = 1 << 16;  // 256 KB read and 256 KB written to a task

int64_t peak_flops(const RooflinePeak& p) { return 2 * kChains * kLanes * p.steps * p.tasks; }
int64_t peak_tasks(const RooflinePeak& p) { return p.tasks; }

void run_peak(const RooflinePeak& p, int64_t begin, int64_t end, float*) {
  for (int64_t task = begin; task < end; ++task) {
    vf chain[kChains];
    for (int64_t i = 0; i < kChains; ++i) chain[i] = splat(0.5f + (float)i);
    const vf scale = splat(0.999f), shift = splat(0.001f);  // tends to 1: neither overflows nor becomes denormal
    for (int64_t step = 0; step < p.steps; ++step)
#pragma GCC unroll 12
      for (int64_t i = 0; i < kChains; ++i) chain[i] = fma(chain[i], scale, shift);
    vf total = {};
    for (int64_t i = 0; i < kChains; ++i) total += chain[i];
    p.out[task] = sum(total);
  }
}

int64_t copy_tasks(const RooflineCopy& c) { return max64(1, ceil_div(c.size, kCopyFloats)); }

void run_copy(const RooflineCopy& c, int64_t begin, int64_t end, float*) {
  const int64_t last = min64(c.size, end * kCopyFloats);
  for (int64_t i = begin * kCopyFloats; i < last; i += kLanes) {
    const int64_t n = min64(kLanes, last - i);
    store_n(c.y + i, load_n(c.x + i, n), n);
  }
}

}  // namespace

void add_roofline(RooflineKernels& k) {
  k.roofline_peak_flops = peak_flops;
  k.roofline_peak = {{{peak_tasks, nullptr, run_peak}}};
  k.roofline_copy = {{{copy_tasks, nullptr, run_copy}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

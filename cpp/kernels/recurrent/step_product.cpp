// step_pack: b of the products of a step, a panel of columns at a time. See step_product.h.
#include "step_product.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t packed_floats(const StepPack& p) { return vectors_of(p.n) * kLanes * p.k; }

int64_t pack_tasks(const StepPack& p) { return panels_of(p.n); }

void pack(const StepPack& p, int64_t begin, int64_t end, float* packed) {
  for (int64_t panel = begin; panel < end; ++panel) {
    if (!p.transposed) {
      pack_back(p.weight, p.n, p.k, panel, packed);
      continue;
    }
    const int64_t first = panel_vector(p.n, panel), last = panel_vector(p.n, panel + 1);
    for (int64_t v = first; v < last; ++v)
      gather_lanes(p.weight + v * kLanes * p.k, p.k, p.k, min64(kLanes, p.n - v * kLanes),
                   packed + first * kLanes * p.k + (v - first) * kLanes, (last - first) * kLanes);
  }
}

}  // namespace

void add_step_product(RecurrentKernels& k) { k.step_pack = {packed_floats, pack_tasks, pack}; }

}  // namespace FASTNN_ISA
}  // namespace fastnn

// step_pack: b of the products of a step, a panel of columns at a time. See step_product.h.
#include "step_product.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t workspace(int64_t k, int64_t n) { return vectors_of(n) * kLanes * k; }

int64_t pack_tasks(const StepPack& p) { return panels_of(p.n); }

void pack(const StepPack& p, int64_t begin, int64_t end, float*) {
  for (int64_t panel = begin; panel < end; ++panel) {
    if (!p.transposed) {
      pack_back(p.weight, p.n, p.k, panel, p.packed);
      continue;
    }
    const int64_t first = panel_vector(p.n, panel), last = panel_vector(p.n, panel + 1);
    for (int64_t v = first; v < last; ++v)
      gather_lanes(p.weight + v * kLanes * p.k, p.k, p.k, min64(kLanes, p.n - v * kLanes),
                   p.packed + first * kLanes * p.k + (v - first) * kLanes, (last - first) * kLanes);
  }
}

}  // namespace

void add_step_product(Kernels& k) {
  k.step_workspace = workspace;
  k.step_pack = {pack_tasks, nullptr, pack};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

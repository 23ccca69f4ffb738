// panel: the product of panel.h, the packing of its b, and that of gates that are made together.
#include "panel.h"

#include "core/transpose.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t packed_floats(const PanelPack& p) { return vectors_of(p.n) * kLanes * p.k; }
int64_t pack_tasks(const PanelPack& p) { return panels_of(p.n); }

void pack_panel(const PanelPack& p, int64_t panel, float* packed) {
  const int64_t first = panel_vector(p.n, panel), last = panel_vector(p.n, panel + 1);
  float* out = packed + first * kLanes * p.k;
  if (p.transposed) {
    for (int64_t v = first; v < last; ++v)
      gather_lanes(p.weight + v * kLanes * p.k, p.k, p.k, min64(kLanes, p.n - v * kLanes), out + (v - first) * kLanes,
                   (last - first) * kLanes);
    return;
  }
  for (int64_t i = 0; i < p.k; ++i)
    for (int64_t v = first; v < last; ++v, out += kLanes)
      store(out, load_n(p.weight + i * p.n + v * kLanes, p.n - v * kLanes));
}

void pack(const PanelPack& p, int64_t begin, int64_t end, float* packed) {
  for (int64_t panel = begin; panel < end; ++panel) pack_panel(p, panel, packed);
}

int64_t gates_floats(const GatesPack& p) { return vectors_of(p.h) * kLanes * p.gates * p.h; }
int64_t gates_tasks(const GatesPack& p) { return vectors_of(p.h); }

void pack_gates(const GatesPack& p, int64_t begin, int64_t end, float* packed) {
  for (int64_t v = begin; v < end; ++v)
    for (int64_t g = 0; g < p.gates; ++g)
      gather_lanes(p.weight + (g * p.h + v * kLanes) * p.h, p.h, p.h, min64(kLanes, p.h - v * kLanes),
                   packed + (v * p.h * p.gates + g) * kLanes, p.gates * kLanes);
}

template <int R, int V>
void tile(const PanelRows& r, int64_t row, const float* panel, bool add, float* out, int64_t out_row, int64_t columns) {
  vf acc[R][V];
  if (add)
    load_tile(acc, out, out_row, columns);
  else
    start_tile(acc, nullptr);
  multiply_add(acc, r.a + row * r.a_row, r.a_row, 1, panel, V * kLanes, r.k);
  if (r.k2) multiply_add(acc, r.a2 + row * r.a2_row, r.a2_row, 1, panel + r.k * V * kLanes, V * kLanes, r.k2);
  store_tile(acc, out, out_row, columns);
}

}  // namespace

void multiply_panels(const PanelRows& rows, const float* packed, bool add, float* out, int64_t out_row, int64_t n,
                     int64_t first, int64_t last, int64_t panel, int64_t last_panel) {
  for (; panel < last_panel; ++panel) {
    const int64_t vector = panel_vector(n, panel), vectors = panel_vector(n, panel + 1) - vector;
    const float* b = packed + vector * kLanes * (rows.k + rows.k2);
    const int64_t column = vector * kLanes, columns = min64(vectors * kLanes, n - column);
    for_tiles(first, last, [&](int64_t row, auto height) {
      with_vectors(vectors, [&](auto width) {
        tile<decltype(height)::value, decltype(width)::value>(rows, row, b, add, out + row * out_row + column, out_row,
                                                              columns);
      });
    });
  }
}

void add_panel(RecurrentKernels& k) {
  k.gates_pack = {gates_floats, gates_tasks, pack_gates};
  k.panel_pack = {packed_floats, pack_tasks, pack};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

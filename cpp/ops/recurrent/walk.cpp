#include "ops/recurrent/walk.h"

#include <algorithm>
#include <utility>

namespace fastnn {

const float* pack_gates(Steps& steps, const Layer& layer, int64_t direction) {
  const Packing<GatesPack>& packing = kernels().recurrent->gates_pack;
  const Weight& weight = layer.weights[direction].hh;
  const GatesPack args{layer.h, layer.gates, weight.data};
  return steps.pack(weight, {}, {reinterpret_cast<intptr_t>(&packing), layer.h, layer.gates}, packing.floats(args),
                    [&packing, args](float* out) { launch(packing, args, out); });
}

int64_t PanelPart::floats() const {
  return k ? kernels().recurrent->panel_pack.floats({k, n, transposed, nullptr}) : 0;
}

const float* pack_panels(Steps& steps, const Weight& weight, const std::array<PanelPart, 2>& parts) {
  const Packing<PanelPack>& packing = kernels().recurrent->panel_pack;
  PackKey key{reinterpret_cast<intptr_t>(&packing)};
  int64_t floats = 0;
  for (const PanelPart& part : parts) {
    key.insert(key.end(), {part.first, part.k, part.n, part.transposed});
    floats += part.floats();
  }
  return steps.pack(weight, {}, std::move(key), floats, [&packing, parts, from = weight.data](float* out) {
    for (const PanelPart& part : parts) {
      if (part.k) launch(packing, PanelPack{part.k, part.n, part.transposed, from + part.first}, out);
      out += part.floats();
    }
  });
}

namespace {

Floats vector_view(const float* data, int64_t size) {
  Floats v;
  v.data = data, v.axes = 1, v.sizes[0] = size, v.strides[0] = 1;
  return v;
}

}  // namespace

Floats sum_of(Steps& steps, const Floats& a, const Floats& b) {
  if (!a || !b) return a ? a : b;
  const int64_t size = a.size();
  float* sum = steps.room(size);
  steps.call_on_weights([x = a.data, y = b.data, size, sum] {
    for (int64_t i = 0; i < size; ++i) sum[i] = x[i] + y[i];
  });
  return vector_view(sum, size);
}

Floats early_bias(Steps& steps, const Layer& layer, int64_t direction, bool reset_after) {
  const LayerWeights& w = layer.weights[direction];
  if (!w.bias_hh) return w.bias_ih;
  const int64_t size = layer.width(), both = reset_after ? 2 * layer.h : size;
  float* early = steps.room(size);
  steps.call_on_weights([x = w.bias_ih.data, y = w.bias_hh.data, size, both, early] {
    for (int64_t i = 0; i < size; ++i) early[i] = (x ? x[i] : 0.0f) + (i < both ? y[i] : 0.0f);
  });
  return vector_view(early, size);
}

Gemm projection(Steps& steps, const Layer& layer, int64_t direction, const Floats& bias) {
  const Weight& w = layer.weights[direction].ih;
  Gemm g{};
  g.batch = 1, g.m = layer.rows(), g.n = layer.width(), g.k = layer.inputs;
  g.a = layer.x.data, g.a_row = layer.inputs, g.a_col = 1;
  g.b = w.data, g.b_row = 1, g.b_col = layer.inputs;
  g.bias = bias.data, g.c_row = layer.width();
  const Packing<Gemm>& packing = kernels().gemm->gemm_pack;
  const int64_t floats = packing.floats(g);
  if (floats && g.m)
    g.packed = steps.pack(w, {&bias}, {g.n, g.k, g.b_row, g.b_col}, floats,
                          [&packing, g](float* out) { launch(packing, g, out); });
  return g;
}

void copy_last(Steps& steps, const Layer& layer, int64_t direction, const float* all, int64_t row, int64_t columns,
               const Output& out) {
  steps.call([rows = layer.last_rows(direction), all, row, columns, to = out.data + direction * layer.n * columns] {
    float* at = to;
    for (const int64_t r : rows) at = std::copy(all + r * row, all + r * row + columns, at);
  });
}

void carry_back(Steps& steps, const Layer& layer, const Floats& last, const char* name, int64_t columns,
                const Output& carry) {
  const float* from = layer.state(last, name, 0, columns);
  const int64_t size = layer.directions() * layer.n * columns;
  check_shape(carry, {layer.directions(), layer.n, columns}, layer.op, name, [&] { return "x " + text(layer.x); });
  steps.call([from, size, to = carry.data] {
    if (from)
      std::copy(from, from + size, to);
    else
      std::fill(to, to + size, 0.0f);
  });
}

}  // namespace fastnn

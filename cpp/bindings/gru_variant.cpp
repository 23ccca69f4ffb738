#include "variant.h"

namespace fastnn {
namespace {

constexpr int64_t kGates = 3;

// What can be added before the walk: all but b_hn, which the reset gate multiplies with the product.
State early_bias(const Weights& w, int64_t h, bool reset_after) {
  if (!w.bias_hh) return w.bias_ih;
  F32 early = empty({kGates * h});
  float* out = early.mutable_data();
  for (int64_t i = 0; i < kGates * h; ++i)
    out[i] = (w.bias_ih ? w.bias_ih->data()[i] : 0.0f) + (i < 2 * h || !reset_after ? w.bias_hh->data()[i] : 0.0f);
  return early;
}

GruVariant walk_of(const Layer& layer, int64_t direction, const State& h0, const std::vector<State>& masks,
                   bool reset_after) {
  require(masks.size() == 2, layer.op, "expected two masks");
  GruVariant a{};
  a.s = layer.sequence(direction), a.reset_after = reset_after, a.h0 = layer.state(h0, "h0", direction);
  a.zone = mask_of(layer, masks[0], "the mask of zoneout", direction, layer.h);
  a.drop = mask_of(layer, masks[1], "the mask of recurrent dropout", direction, layer.h);
  a.y_row = layer.y_row();
  return a;
}

// Returns (y, h_n, kept): for each direction gates (rows, 3 * H) after their nonlinearities and m (rows, H).
std::tuple<F32, F32, KeptArrays> forward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                                         const WeightList& weights, const std::vector<State>& masks, bool reset_after,
                                         bool keep) {
  const Layer layer("gru_variant", kGates, x, batch_sizes, weights);
  const int64_t n = layer.n, h = layer.h, directions = layer.directions(), rows = layer.gate_rows(keep);
  F32 y = empty(layer.rows_shape(layer.y_row())), h_n = empty({directions, n, h});
  std::vector<GruVariantForward> walks;
  std::vector<Projection> projections;
  std::vector<std::shared_ptr<const Workspace>> packs;
  KeptArrays kept;
  for (int64_t d = 0; d < directions; ++d) {
    const Weights& w = layer.weights[d];
    const PackPart rz{0, h, 2 * h, true}, fresh{2 * h * h, h, h, true};
    projections.emplace_back(layer, d, early_bias(w, h, reset_after));
    packs.push_back(pack_step(w.hh, {rz, fresh}));
    kept.push_back(empties({{rows, kGates * h}, {rows, h}}));
    GruVariantForward a{walk_of(layer, d, h0, masks, reset_after), {}};
    a.w_rz = packs[d]->data(), a.w_n = a.w_rz + rz.floats();
    a.bias = w.bias_hh && reset_after ? w.bias_hh->data() + 2 * h : nullptr;
    a.gates = kept[d][0].mutable_data(), a.m = kept[d][1].mutable_data(), a.y = y.mutable_data() + d * h;
    walks.push_back(a);
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_stretches(layer, projections, walks, kernels().recurrent->gru_variant_forward, keep);
    for (int64_t d = 0; d < directions; ++d)
      copy_rows(walks[d].y, layer.y_row(), layer.last_rows(d), h, h_n.mutable_data() + d * n * h);
  }
  if (!keep) kept.clear();
  return {y, h_n, kept};
}

// kept becomes gradients. Returns (dh0, dx, [weights]); of the latter what is wanted.
std::tuple<F32, State, WeightList> backward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                                            const WeightList& weights, const std::vector<State>& masks,
                                            bool reset_after, const F32& y, KeptArrays& kept, const State& dy,
                                            const State& dh, bool want_x, const std::vector<bool>& wanted) {
  const Layer layer("gru_variant_backward", kGates, x, batch_sizes, weights, false, want_x);
  const int64_t n = layer.n, h = layer.h;
  layer.require_rows(y, layer.y_row(), "y");
  require_shapes(kept, layer.directions(), {{layer.rows(), kGates * h}, {layer.rows(), h}}, layer.op);
  F32 dh0 = carried(layer, dh, "dh", h);
  LayerGradients gradients(layer, want_x, wanted);
  const Workspace scratch(layer.directions() * n * h);
  std::vector<GruVariantBackward> walks;
  std::vector<std::shared_ptr<const Workspace>> packs;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const PackPart rz{0, 2 * h, h, false}, fresh{2 * h * h, h, h, false};
    packs.push_back(pack_step(layer.weights[d].hh, {rz, fresh}));
    GruVariantBackward a{};
    static_cast<GruVariant&>(a) = walk_of(layer, d, h0, masks, reset_after);
    a.w_rz = packs[d]->data(), a.w_n = a.w_rz + rz.floats();
    a.gates = kept[d][0].mutable_data(), a.m = kept[d][1].mutable_data(), a.y = const_cast<float*>(y.data()) + d * h;
    a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.dh = dh0.mutable_data() + d * n * h, a.dm = scratch.data() + d * n * h;
    walks.push_back(a);
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_steps_of(kernels().recurrent->gru_variant_backward, walks.data(), layer.directions());
    for (int64_t d = 0; d < layer.directions(); ++d) {
      const GruVariantBackward& a = walks[d];
      const GatePart rz{a.gates, kGates * h, 2 * h}, fresh{a.gates + 2 * h, kGates * h, h, a.m}, late{a.m, h, h};
      gradients.add(d, a.gates, {rz, reset_after ? late : fresh}, a.y, a.h0);
    }
  }
  return {dh0, gradients.x(), gradients.weights()};
}

}  // namespace

void bind_gru_variant(py::module_& m) {
  m.def("gru_variant_forward", &forward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "masks"_a.noconvert(), "reset_after"_a, "keep"_a);
  m.def("gru_variant_backward", &backward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "masks"_a.noconvert(), "reset_after"_a, "y"_a.noconvert(), "kept"_a.noconvert(),
        "dy"_a.noconvert(), "dh"_a.noconvert(), "want_x"_a, "wanted"_a);
}

}  // namespace fastnn

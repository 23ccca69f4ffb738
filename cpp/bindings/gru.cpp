#include "recurrent.h"

namespace fastnn {
namespace {

constexpr int64_t kGates = 3;

// What can be added before the walk: both biases of r and z, b_in of n. The reset gate multiplies b_hn with the
// product.
State early_bias(const Weights& w, int64_t h) {
  if (!w.bias_hh) return w.bias_ih;
  F32 early = empty({kGates * h});
  float* out = early.mutable_data();
  for (int64_t i = 0; i < kGates * h; ++i)
    out[i] = (w.bias_ih ? w.bias_ih->data()[i] : 0.0f) + (i < 2 * h ? w.bias_hh->data()[i] : 0.0f);
  return early;
}

// Returns (y, h_n, kept): for each direction gates (rows, 3, H) after their nonlinearities and m (rows, H), the product
// that the reset gate multiplies.
std::tuple<F32, F32, Kept> forward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                                   const WeightList& weights, bool keep) {
  const Layer layer("gru", kGates, x, batch_sizes, weights);
  const int64_t n = layer.n, h = layer.h, directions = layer.directions();
  F32 y = empty(layer.rows_shape(layer.y_row())), h_n = empty({directions, n, h});
  std::vector<GruForward> walks;
  std::vector<Projection> projections;
  std::vector<std::shared_ptr<const Workspace>> packs;
  Kept kept;
  std::vector<F32> blocks;
  for (int64_t d = 0; d < directions; ++d) {
    const Weights& w = layer.weights[d];
    projections.emplace_back(layer, d, early_bias(w, h));
    packs.push_back(pack_recurrent(layer, kernels().recurrent->gru_forward_pack, d));
    F32 gates = empty({layer.gate_rows(keep), kGates * h});
    GruForward a{};
    a.s = layer.sequence(d), a.gates = gates.mutable_data(), a.packed = packs[d]->data();
    a.bias = w.bias_hh ? w.bias_hh->data() + 2 * h : nullptr, a.h0 = layer.state(h0, "h0", d);
    a.y = y.mutable_data() + d * h, a.y_row = layer.y_row();
    if (keep) {
      F32 m = empty({layer.rows(), h});
      a.m = m.mutable_data();
      kept.emplace_back(gates, m);
    }
    walks.push_back(a);
    blocks.push_back(gates);
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_stretches(layer, projections, walks, kernels().recurrent->gru_forward, keep);
    for (int64_t d = 0; d < directions; ++d)
      copy_rows(walks[d].y, layer.y_row(), layer.last_rows(d), h, h_n.mutable_data() + d * n * h);
  }
  return {y, h_n, kept};
}

// kept gates and m become their gradients. Returns (dh0, dx, [weights]); of the latter what is wanted.
std::tuple<F32, State, WeightList> backward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                                            const WeightList& weights, const F32& y, Kept& kept, const State& dy,
                                            const State& dh, bool want_x, const std::vector<bool>& wanted) {
  const Layer layer("gru_backward", kGates, x, batch_sizes, weights, false, want_x);
  const int64_t n = layer.n, h = layer.h;
  layer.require_rows(y, layer.y_row(), "y");
  layer.require_kept(kept);
  F32 dh0 = carried(layer, dh, "dh", layer.h);
  LayerGradients gradients(layer, want_x, wanted);
  std::vector<GruBackward> walks;
  std::vector<std::shared_ptr<const Workspace>> packs;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    packs.push_back(pack_recurrent(layer, kernels().recurrent->gru_backward_pack, d));
    GruBackward a{};
    a.s = layer.sequence(d), a.gates = kept[d].first.mutable_data(), a.m = kept[d].second.mutable_data();
    a.packed = packs[d]->data(), a.h0 = layer.state(h0, "h0", d), a.y = y.data() + d * h, a.y_row = layer.y_row();
    a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row(), a.dh = dh0.mutable_data() + d * n * h;
    walks.push_back(a);
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_steps_of(kernels().recurrent->gru_backward, walks.data(), layer.directions());
    for (const GruBackward& a : walks)
      gradients.add(a.s.reverse, a.gates, {{a.gates, kGates * h, 2 * h}, {a.m, h, h}}, a.y, a.h0);
  }
  return {dh0, gradients.x(), gradients.weights()};
}

}  // namespace

void bind_gru(py::module_& m) {
  m.def("gru_forward", &forward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "keep"_a);
  m.def("gru_backward", &backward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "y"_a.noconvert(), "kept"_a.noconvert(), "dy"_a.noconvert(), "dh"_a.noconvert(),
        "want_x"_a, "wanted"_a);
}

}  // namespace fastnn

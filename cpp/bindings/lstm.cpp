#include "recurrent.h"

namespace fastnn {
namespace {

constexpr int64_t kGates = 4;

// Returns (y, h_n, c_n, kept): for each direction gates (rows, 4, H) after their nonlinearities and c (rows, H).
std::tuple<F32, F32, F32, Kept> forward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                                        const State& c0, const WeightList& weights, bool keep) {
  const Layer layer("lstm", kGates, x, batch_sizes, weights);
  const int64_t n = layer.n, h = layer.h, directions = layer.directions();
  F32 y = empty(layer.rows_shape(layer.y_row())), h_n = empty({directions, n, h}), c_n = empty({directions, n, h});
  std::vector<LstmForward> walks;
  std::vector<Projection> projections;
  std::vector<std::shared_ptr<const Workspace>> packs;
  Kept kept;
  std::vector<F32> blocks;  // gates, c
  for (int64_t d = 0; d < directions; ++d) {
    projections.emplace_back(layer, d, sum_of(layer.weights[d].bias_ih, layer.weights[d].bias_hh));
    packs.push_back(pack_recurrent(layer, kernels().recurrent->lstm_forward_pack, d));
    F32 gates = empty({layer.gate_rows(keep), kGates * h}), c = keep ? empty({layer.rows(), h}) : c_n;
    LstmForward a{};
    a.s = layer.sequence(d), a.gates = gates.mutable_data(), a.packed = packs[d]->data();
    a.h0 = layer.state(h0, "h0", d), a.c0 = layer.state(c0, "c0", d), a.keep = keep;
    a.c = c.mutable_data() + (keep ? 0 : d * n * h);
    a.y = y.mutable_data() + d * h, a.y_row = layer.y_row();
    walks.push_back(a);
    blocks.push_back(gates);
    if (keep) kept.emplace_back(gates, c);
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_stretches(layer, projections, walks, kernels().recurrent->lstm_forward, keep);
    for (int64_t d = 0; d < directions; ++d) {
      const std::vector<int64_t> last = layer.last_rows(d);
      copy_rows(walks[d].y, layer.y_row(), last, h, h_n.mutable_data() + d * n * h);
      if (keep) copy_rows(walks[d].c, h, last, h, c_n.mutable_data() + d * n * h);
    }
  }
  return {y, h_n, c_n, kept};
}

// kept gates become their gradient. Returns (dh0, dc0, dx, [weights]); of the latter what is wanted.
std::tuple<F32, F32, State, WeightList> backward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                                                 const State& c0, const WeightList& weights, const F32& y, Kept& kept,
                                                 const State& dy, const State& dh, const State& dc, bool want_x,
                                                 const std::vector<bool>& wanted) {
  const Layer layer("lstm_backward", kGates, x, batch_sizes, weights, false, want_x);
  const int64_t n = layer.n, h = layer.h;
  layer.require_rows(y, layer.y_row(), "y");
  layer.require_kept(kept);
  F32 dh0 = carried(layer, dh, "dh", layer.h), dc0 = carried(layer, dc, "dc", layer.h);
  LayerGradients gradients(layer, want_x, wanted);
  std::vector<LstmBackward> walks;
  std::vector<const float*> first;
  std::vector<std::shared_ptr<const Workspace>> packs;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    packs.push_back(pack_recurrent(layer, kernels().recurrent->lstm_backward_pack, d));
    LstmBackward a{};
    a.s = layer.sequence(d), a.gates = kept[d].first.mutable_data(), a.c = kept[d].second.data();
    a.packed = packs[d]->data(), a.c0 = layer.state(c0, "c0", d);
    a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.dh = dh0.mutable_data() + d * n * h, a.dc = dc0.mutable_data() + d * n * h;
    walks.push_back(a);
    first.push_back(layer.state(h0, "h0", d));
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_steps_of(kernels().recurrent->lstm_backward, walks.data(), layer.directions());
    for (const LstmBackward& a : walks)
      gradients.add(a.s.reverse, a.gates, {{a.gates, kGates * h, kGates * h}}, y.data() + a.s.reverse * h,
                    first[a.s.reverse]);
  }
  return {dh0, dc0, gradients.x(), gradients.weights()};
}

}  // namespace

void bind_lstm(py::module_& m) {
  m.def("lstm_forward", &forward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "c0"_a.noconvert(), "weights"_a.noconvert(), "keep"_a);
  m.def("lstm_backward", &backward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "c0"_a.noconvert(), "weights"_a.noconvert(), "y"_a.noconvert(), "kept"_a.noconvert(), "dy"_a.noconvert(),
        "dh"_a.noconvert(), "dc"_a.noconvert(), "want_x"_a, "wanted"_a);
}

}  // namespace fastnn

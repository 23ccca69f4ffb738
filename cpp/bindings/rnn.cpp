#include "recurrent.h"

namespace fastnn {
namespace {

// Returns (y, h_n).
std::pair<F32, F32> forward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                            const WeightList& weights, bool relu) {
  const Layer layer("rnn", 1, x, batch_sizes, weights);
  const int64_t n = layer.n, h = layer.h, directions = layer.directions();
  F32 y = empty(layer.rows_shape(layer.y_row())), h_n = empty({directions, n, h});
  std::vector<RnnForward> walks;
  std::vector<Projection> projections;
  std::vector<std::shared_ptr<const Workspace>> packs;
  std::vector<F32> blocks;
  for (int64_t d = 0; d < directions; ++d) {
    projections.emplace_back(layer, d, sum_of(layer.weights[d].bias_ih, layer.weights[d].bias_hh));
    packs.push_back(pack_recurrent(layer, kernels().recurrent->rnn_forward_pack, d));
    blocks.push_back(empty({layer.gate_rows(false), h}));
    RnnForward a{};
    a.s = layer.sequence(d), a.relu = relu, a.gates = blocks[d].data(), a.packed = packs[d]->data();
    a.h0 = layer.state(h0, "h0", d), a.y = y.mutable_data() + d * h, a.y_row = layer.y_row();
    walks.push_back(a);
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_stretches(layer, projections, walks, kernels().recurrent->rnn_forward, false);
    for (int64_t d = 0; d < directions; ++d)
      copy_rows(walks[d].y, layer.y_row(), layer.last_rows(d), h, h_n.mutable_data() + d * n * h);
  }
  return {y, h_n};
}

// Returns (dh0, dx, [weights]); of the latter what is wanted.
std::tuple<F32, State, WeightList> backward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                                            const WeightList& weights, const F32& y, const State& dy, const State& dh,
                                            bool relu, bool want_x, const std::vector<bool>& wanted) {
  const Layer layer("rnn_backward", 1, x, batch_sizes, weights, false, want_x);
  const int64_t n = layer.n, h = layer.h;
  layer.require_rows(y, layer.y_row(), "y");
  F32 dh0 = carried(layer, dh, "dh", layer.h);
  LayerGradients gradients(layer, want_x, wanted);
  std::vector<RnnBackward> walks;
  std::vector<const float*> first;
  std::vector<std::shared_ptr<const Workspace>> packs;
  std::vector<F32> blocks;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    packs.push_back(pack_recurrent(layer, kernels().recurrent->rnn_backward_pack, d));
    blocks.push_back(empty({layer.rows(), h}));
    RnnBackward a{};
    a.s = layer.sequence(d), a.relu = relu, a.packed = packs[d]->data(), a.y = y.data() + d * h;
    a.y_row = layer.y_row(), a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.gates = blocks[d].mutable_data(), a.dh = dh0.mutable_data() + d * n * h;
    walks.push_back(a);
    first.push_back(layer.state(h0, "h0", d));
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_steps_of(kernels().recurrent->rnn_backward, walks.data(), layer.directions());
    for (const RnnBackward& a : walks) gradients.add(a.s.reverse, a.gates, {{a.gates, h, h}}, a.y, first[a.s.reverse]);
  }
  return {dh0, gradients.x(), gradients.weights()};
}

}  // namespace

void bind_rnn(py::module_& m) {
  m.def("rnn_forward", &forward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "relu"_a);
  m.def("rnn_backward", &backward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "y"_a.noconvert(), "dy"_a.noconvert(), "dh"_a.noconvert(), "relu"_a, "want_x"_a,
        "wanted"_a);
}

}  // namespace fastnn

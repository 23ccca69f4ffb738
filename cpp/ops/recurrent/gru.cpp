#include "ops/recurrent/gru.h"

#include "ops/recurrent/walk.h"

namespace fastnn {

void gru_forward(Steps& steps, const Layer& layer, const Floats& h0, const Output& y, const Output& h_n,
                 const Kept& kept) {
  const int64_t h = layer.h;
  const bool keep = !kept.empty();
  const int64_t* starts = steps.lasting(layer.starts);
  std::vector<GruForward> walks;
  std::vector<Gemm> projections;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const Floats& bias = layer.weights[d].bias_hh;
    projections.push_back(projection(steps, layer, d, early_bias(steps, layer, d, true)));
    GruForward a{};
    a.s = layer.sequence(starts, d), a.packed = pack_gates(steps, layer, d);
    a.gates = keep ? kept[d][0].data : steps.room(layer.gate_rows(false) * layer.width());
    a.m = keep ? kept[d][1].data : nullptr;
    a.bias = bias ? bias.data + 2 * h : nullptr, a.h0 = layer.state(h0, "h0", d);
    a.y = y.data + d * h, a.y_row = layer.y_row();
    walks.push_back(a);
  }
  steps.flush_subnormals();
  walk_in_stretches(steps, layer, projections, walks, kernels().recurrent->gru_forward, keep);
  for (int64_t d = 0; d < layer.directions(); ++d) copy_last(steps, layer, d, walks[d].y, layer.y_row(), h, h_n);
}

void gru_backward(Steps& steps, const Layer& layer, const Floats& h0, const Floats& y, const Kept& kept,
                  const Floats& dy, const Floats& dh, const Output& dh0, const Gradients& wanted) {
  const int64_t n = layer.n, h = layer.h, width = layer.width();
  const int64_t* starts = steps.lasting(layer.starts);
  layer.check_rows(y, layer.y_row(), "y");
  layer.check_kept(kept, layer.kept_shapes());
  LayerGradients gradients(steps, layer, starts, wanted);
  carry_back(steps, layer, dh, "dh", h, dh0);
  std::vector<GruBackward> walks;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    GruBackward a{};
    a.s = layer.sequence(starts, d), a.gates = kept[d][0].data, a.m = kept[d][1].data;
    a.packed = pack_panel(steps, layer.weights[d].hh, {0, width, h, false}), a.h0 = layer.state(h0, "h0", d);
    a.y = y.data + d * h, a.y_row = layer.y_row(), a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.dh = dh0.data + d * n * h;
    walks.push_back(a);
  }
  steps.flush_subnormals();
  steps.add(kernels().recurrent->gru_backward, walks);
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const GruBackward& a = walks[d];
    gradients.add(d, a.gates, {{a.gates, width, 2 * h}, {a.m, h, h}}, a.y, a.h0);
  }
}

}  // namespace fastnn

#include "ops/recurrent/rnn.h"

#include "ops/recurrent/walk.h"

namespace fastnn {

void rnn_forward(Steps& steps, const Layer& layer, const Floats& h0, bool relu, const Output& y, const Output& h_n) {
  const int64_t h = layer.h;
  const int64_t* starts = steps.lasting(layer.starts);
  std::vector<RnnForward> walks;
  std::vector<Gemm> projections;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const LayerWeights& w = layer.weights[d];
    projections.push_back(projection(steps, layer, d, sum_of(steps, w.bias_ih, w.bias_hh)));
    RnnForward a{};
    a.s = layer.sequence(starts, d), a.relu = relu;
    a.gates = steps.room(layer.gate_rows(false) * h), a.packed = pack_panel(steps, w.hh, {0, h, h, true});
    a.h0 = layer.state(h0, "h0", d), a.y = y.data + d * h, a.y_row = layer.y_row();
    walks.push_back(a);
  }
  steps.flush_subnormals();
  walk_in_stretches(steps, layer, projections, walks, kernels().recurrent->rnn_forward, false);
  for (int64_t d = 0; d < layer.directions(); ++d) copy_last(steps, layer, d, walks[d].y, layer.y_row(), h, h_n);
}

void rnn_backward(Steps& steps, const Layer& layer, const Floats& h0, bool relu, const Floats& y, const Floats& dy,
                  const Floats& dh, const Output& dh0, const Gradients& wanted) {
  const int64_t n = layer.n, h = layer.h;
  const int64_t* starts = steps.lasting(layer.starts);
  layer.check_rows(y, layer.y_row(), "y");
  LayerGradients gradients(steps, layer, starts, wanted);
  carry_back(steps, layer, dh, "dh", h, dh0);
  std::vector<RnnBackward> walks;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    RnnBackward a{};
    a.s = layer.sequence(starts, d), a.relu = relu;
    a.packed = pack_panel(steps, layer.weights[d].hh, {0, h, h, false});
    a.y = y.data + d * h, a.y_row = layer.y_row(), a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.gates = steps.room(layer.rows() * h), a.dh = dh0.data + d * n * h;
    walks.push_back(a);
  }
  steps.flush_subnormals();
  steps.add(kernels().recurrent->rnn_backward, walks);
  for (int64_t d = 0; d < layer.directions(); ++d)
    gradients.add(d, walks[d].gates, {{walks[d].gates, h, h}}, walks[d].y, layer.state(h0, "h0", d));
}

}  // namespace fastnn

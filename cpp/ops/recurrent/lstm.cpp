#include "ops/recurrent/lstm.h"

#include "ops/recurrent/walk.h"

namespace fastnn {

void lstm_forward(Steps& steps, const Layer& layer, const Floats& h0, const Floats& c0, const Output& y,
                  const Output& h_n, const Output& c_n, const Kept& kept) {
  const int64_t n = layer.n, h = layer.h;
  const bool keep = !kept.empty();
  const int64_t* starts = steps.lasting(layer.starts);
  std::vector<LstmForward> walks;
  std::vector<Gemm> projections;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const LayerWeights& w = layer.weights[d];
    projections.push_back(projection(steps, layer, d, sum_of(steps, w.bias_ih, w.bias_hh)));
    LstmForward a{};
    a.s = layer.sequence(starts, d), a.keep = keep, a.packed = pack_gates(steps, layer, d);
    a.gates = keep ? kept[d][0].data : steps.room(layer.gate_rows(false) * layer.width());
    a.h0 = layer.state(h0, "h0", d), a.c0 = layer.state(c0, "c0", d);
    a.c = keep ? kept[d][1].data : c_n.data + d * n * h;
    a.y = y.data + d * h, a.y_row = layer.y_row();
    walks.push_back(a);
  }
  steps.flush_subnormals();
  walk_in_stretches(steps, layer, projections, walks, kernels().recurrent->lstm_forward, keep);
  for (int64_t d = 0; d < layer.directions(); ++d) {
    copy_last(steps, layer, d, walks[d].y, layer.y_row(), h, h_n);
    if (keep) copy_last(steps, layer, d, walks[d].c, h, h, c_n);
  }
}

void lstm_backward(Steps& steps, const Layer& layer, const Floats& h0, const Floats& c0, const Floats& y,
                   const Kept& kept, const Floats& dy, const Floats& dh, const Floats& dc, const Output& dh0,
                   const Output& dc0, const Gradients& wanted) {
  const int64_t n = layer.n, h = layer.h, width = layer.width();
  const int64_t* starts = steps.lasting(layer.starts);
  layer.check_rows(y, layer.y_row(), "y");
  layer.check_kept(kept, layer.kept_shapes());
  LayerGradients gradients(steps, layer, starts, wanted);
  carry_back(steps, layer, dh, "dh", h, dh0);
  carry_back(steps, layer, dc, "dc", h, dc0);
  std::vector<LstmBackward> walks;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    LstmBackward a{};
    a.s = layer.sequence(starts, d), a.gates = kept[d][0].data, a.c = kept[d][1].data;
    a.packed = pack_panel(steps, layer.weights[d].hh, {0, width, h, false});
    a.c0 = layer.state(c0, "c0", d), a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.dh = dh0.data + d * n * h, a.dc = dc0.data + d * n * h;
    walks.push_back(a);
  }
  steps.flush_subnormals();
  steps.add(kernels().recurrent->lstm_backward, walks);
  for (int64_t d = 0; d < layer.directions(); ++d)
    gradients.add(d, walks[d].gates, {{walks[d].gates, width, width}}, y.data + d * h, layer.state(h0, "h0", d));
}

}  // namespace fastnn

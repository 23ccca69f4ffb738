#include "ops/recurrent/gru_variant.h"

#include "ops/recurrent/mask.h"
#include "ops/recurrent/walk.h"

namespace fastnn {
namespace {

GruVariant walk_of(const Layer& layer, const int64_t* starts, int64_t direction, const Floats& h0,
                   const GruOptions& options) {
  GruVariant a{};
  a.s = layer.sequence(starts, direction), a.reset_after = options.reset_after;
  a.h0 = layer.state(h0, "h0", direction);
  a.zone = mask_of(layer, options.zone, "the mask of zoneout", direction, layer.h);
  a.drop = mask_of(layer, options.drop, "the mask of recurrent dropout", direction, layer.h);
  return a;
}

}  // namespace

void gru_variant_forward(Steps& steps, const Layer& layer, const Floats& h0, const GruOptions& options, const Output& y,
                         const Output& h_n, const Kept& kept) {
  const int64_t h = layer.h;
  const bool keep = !kept.empty();
  const int64_t* starts = steps.lasting(layer.starts);
  std::vector<GruVariantForward> walks;
  std::vector<Gemm> projections;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const LayerWeights& w = layer.weights[d];
    const PanelPart rz{0, h, 2 * h, true}, fresh{2 * h * h, h, h, true};
    projections.push_back(projection(steps, layer, d, early_bias(steps, layer, d, options.reset_after)));
    GruVariantForward a{};
    static_cast<GruVariant&>(a) = walk_of(layer, starts, d, h0, options);
    a.w_rz = pack_panels(steps, w.hh, {rz, fresh}), a.w_n = a.w_rz + rz.floats();
    a.bias = w.bias_hh && options.reset_after ? w.bias_hh.data + 2 * h : nullptr;
    a.gates = keep ? kept[d][0].data : steps.room(layer.gate_rows(false) * layer.width());
    a.m = keep ? kept[d][1].data : steps.room(layer.gate_rows(false) * h);
    a.y = y.data + d * h, a.y_row = layer.y_row();
    walks.push_back(a);
  }
  steps.flush_subnormals();
  walk_in_stretches(steps, layer, projections, walks, kernels().recurrent->gru_variant_forward, keep);
  for (int64_t d = 0; d < layer.directions(); ++d) copy_last(steps, layer, d, walks[d].y, layer.y_row(), h, h_n);
}

void gru_variant_backward(Steps& steps, const Layer& layer, const Floats& h0, const GruOptions& options,
                          const Floats& y, const Kept& kept, const Floats& dy, const Floats& dh, const Output& dh0,
                          const Gradients& wanted) {
  const int64_t n = layer.n, h = layer.h, width = layer.width();
  const int64_t* starts = steps.lasting(layer.starts);
  layer.check_rows(y, layer.y_row(), "y");
  layer.check_kept(kept, layer.kept_shapes());
  LayerGradients gradients(steps, layer, starts, wanted);
  carry_back(steps, layer, dh, "dh", h, dh0);
  std::vector<GruVariantBackward> walks;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const PanelPart rz{0, 2 * h, h, false}, fresh{2 * h * h, h, h, false};
    GruVariantBackward a{};
    static_cast<GruVariant&>(a) = walk_of(layer, starts, d, h0, options);
    a.w_rz = pack_panels(steps, layer.weights[d].hh, {rz, fresh}), a.w_n = a.w_rz + rz.floats();
    a.gates = kept[d][0].data, a.m = kept[d][1].data;
    a.y = y.data + d * h, a.y_row = layer.y_row(), a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.dh = dh0.data + d * n * h;
    walks.push_back(a);
  }
  steps.flush_subnormals();
  steps.add(kernels().recurrent->gru_variant_backward, walks);
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const GruVariantBackward& a = walks[d];
    const GatePart rz{a.gates, width, 2 * h}, fresh{a.gates + 2 * h, width, h, a.m}, late{a.m, h, h};
    gradients.add(d, a.gates, {rz, options.reset_after ? late : fresh}, a.y, a.h0);
  }
}

}  // namespace fastnn

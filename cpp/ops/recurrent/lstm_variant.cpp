#include "ops/recurrent/lstm_variant.h"

#include <algorithm>

#include "ops/recurrent/mask.h"
#include "ops/recurrent/walk.h"

namespace fastnn {
namespace {

constexpr int kArrays = 6;  // that may be kept of a direction

void check_extras(const Layer& layer, const LstmExtras& e, const LstmExtras& first, bool reverse) {
  const int64_t h = layer.h, width = layer.width();
  const auto fits = [&](const Floats& a, const Floats& of_first, std::initializer_list<int64_t> shape,
                        const char* name) {
    if (a)
      check_shape(a, shape, layer.op, (name + std::string(reverse ? "_reverse" : "")).c_str(),
                  [&] { return "weight_hh " + text(layer.weights[0].hh); });
    check(bool(a) == bool(of_first), layer.op, [&] { return name + std::string(" is given for one direction only"); });
  };
  fits(e.hr, first.hr, {layer.p, h}, "weight_hr");
  fits(e.peephole, first.peephole, {3, h}, "weight_peephole");
  fits(e.norm_x, first.norm_x, {width}, "weight_norm_ih");
  fits(e.norm_h, first.norm_h, {width}, "weight_norm_hh");
  fits(e.norm_c, first.norm_c, {h}, "weight_norm_c");
  fits(e.bias_c, first.bias_c, {h}, "bias_norm_c");
}

// Where the arrays of one direction are: those kept, or memory for as long as they are used.
void place(Steps& steps, LstmVariant& a, const std::vector<Output>* kept, const std::vector<Sizes>& shapes) {
  float* at[kArrays];
  for (int i = 0; i < kArrays; ++i) {
    const int64_t size = shapes[i][0] * shapes[i][1];
    at[i] = size == 0 ? nullptr : kept ? (*kept)[i].data : steps.room(size);
  }
  a.gates = at[0], a.hat_x = at[1], a.hat_h = at[2], a.scale = at[3], a.c = at[4], a.m = at[5];
}

// The sums over the samples of one direction, (samples, columns), as the kernel adds them up.
float* place_sums(Steps& steps, LstmVariantBackward& a, const LstmVariantLayer& v) {
  const int64_t h = v.layer.h, width = v.layer.width(), size = v.layer.n * v.sums();
  float* all = steps.room(size);
  steps.call([all, size] { std::fill(all, all + size, 0.0f); });
  a.sums_row = v.sums();
  float* sums = all;
  if (a.peephole) a.d_peephole = sums, sums += 3 * h;
  if (a.norm_x) {
    a.d_norm_x = sums, a.d_norm_h = sums + width, a.d_norm_c = sums + 2 * width;
    a.d_bias_c = a.d_norm_c + h;
  }
  return all;
}

}  // namespace

LstmVariantLayer::LstmVariantLayer(const char* op, const Floats& x, const Ints& batch_sizes,
                                   const std::vector<Weight>& weights, const std::vector<LstmExtras>& extras,
                                   const LstmOptions& options, bool reads_ih)
    : layer(op, options.coupled ? 3 : 4, x, batch_sizes, weights, !extras.empty() && extras[0].hr, reads_ih),
      extras(extras),
      options(options) {
  check(extras.size() == layer.weights.size(), op, "expected six more weights of each direction");
  for (size_t d = 0; d < extras.size(); ++d) check_extras(layer, extras[d], extras[0], d == 1);
  const LstmExtras& e = extras[0];
  check(bool(e.norm_x) == bool(e.norm_h) && bool(e.norm_x) == bool(e.norm_c), op,
        "weight_norm_ih, weight_norm_hh and weight_norm_c come together or not at all");
  check(e.norm_c || !e.bias_c, op, "bias_norm_c needs weight_norm_c");
  check(options.clip > 0, op, "cell_clip must be positive");
  checked_mul(checked_mul(checked_add(layer.n, 1), checked_add(checked_mul(2, layer.width()), 5 * layer.h)), 8);
}

int64_t LstmVariantLayer::sums() const {
  const LstmExtras& e = extras[0];
  return (e.peephole ? 3 * layer.h : 0) + (e.norm_x ? 2 * layer.width() + 2 * layer.h : 0);
}

std::vector<Sizes> LstmVariantLayer::kept_shapes(bool keep) const {
  const int64_t rows = layer.gate_rows(keep), norms = extras[0].norm_x ? rows : 0;
  return {{rows, layer.width()},      {norms, layer.width()},
          {norms, layer.width()},     {norms, 2},
          {keep ? rows : 0, layer.h}, {extras[0].hr ? rows : 0, layer.h}};
}

LstmVariant LstmVariantLayer::walk(const int64_t* starts, int64_t direction, const Floats& h0, const Floats& c0) const {
  const LstmExtras& e = extras[direction];
  LstmVariant a{};
  a.s = layer.sequence(starts, direction), a.p = layer.p, a.coupled = options.coupled, a.clip = options.clip;
  a.peephole = e.peephole.data, a.norm_x = e.norm_x.data, a.norm_h = e.norm_h.data;
  a.norm_c = e.norm_c.data, a.bias_c = e.bias_c.data;
  a.zone_c = mask_of(layer, options.zone_c, "the mask of zoneout of c", direction, layer.h);
  a.zone_h = mask_of(layer, options.zone_h, "the mask of zoneout of h", direction, layer.p);
  a.drop = mask_of(layer, options.drop, "the mask of recurrent dropout", direction, layer.h);
  a.h0 = layer.state(h0, "h0", direction), a.c0 = layer.state(c0, "c0", direction, layer.h);
  return a;
}

void lstm_variant_forward(Steps& steps, const LstmVariantLayer& v, const Floats& h0, const Floats& c0, const Output& y,
                          const Output& h_n, const Output& c_n, const Kept& kept) {
  const Layer& layer = v.layer;
  const int64_t n = layer.n, h = layer.h, p = layer.p;
  const bool keep = !kept.empty();
  const int64_t* starts = steps.lasting(layer.starts);
  std::vector<LstmVariantForward> walks;
  std::vector<Gemm> projections;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const LayerWeights& w = layer.weights[d];
    const Floats bias = sum_of(steps, w.bias_ih, w.bias_hh);
    projections.push_back(projection(steps, layer, d, v.extras[d].norm_x ? Floats() : bias));
    LstmVariantForward a{};
    static_cast<LstmVariant&>(a) = v.walk(starts, d, h0, c0);
    place(steps, a, keep ? &kept[d] : nullptr, v.kept_shapes(keep));
    a.keep = keep;
    if (!keep) a.c = c_n.data + d * n * h;
    a.w_hh = pack_panel(steps, w.hh, {0, p, layer.width(), true}), a.bias = bias.data;
    if (v.extras[d].hr) a.w_hr = pack_panel(steps, v.extras[d].hr, {0, h, p, true});
    a.y = y.data + d * p, a.y_row = layer.y_row();
    walks.push_back(a);
  }
  steps.flush_subnormals();
  walk_in_stretches(steps, layer, projections, walks, kernels().recurrent->lstm_variant_forward, keep);
  for (int64_t d = 0; d < layer.directions(); ++d) {
    copy_last(steps, layer, d, walks[d].y, layer.y_row(), p, h_n);
    if (keep) copy_last(steps, layer, d, walks[d].c, h, h, c_n);
  }
}

void lstm_variant_backward(Steps& steps, const LstmVariantLayer& v, const Floats& h0, const Floats& c0, const Floats& y,
                           const Kept& kept, const Floats& dy, const Floats& dh, const Floats& dc, const Output& dh0,
                           const Output& dc0, const Gradients& wanted, const std::vector<Output>& d_hr,
                           const std::vector<Output>& d_sums) {
  const Layer& layer = v.layer;
  const int64_t n = layer.n, h = layer.h, p = layer.p, rows = layer.rows(), width = layer.width();
  const int64_t* starts = steps.lasting(layer.starts);
  layer.check_rows(y, layer.y_row(), "y");
  layer.check_kept(kept, v.kept_shapes(true));
  LayerGradients gradients(steps, layer, starts, wanted);
  carry_back(steps, layer, dh, "dh", p, dh0);
  carry_back(steps, layer, dc, "dc", h, dc0);
  std::vector<LstmVariantBackward> walks;
  std::vector<float*> sums;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const Weight& hr = v.extras[d].hr;
    LstmVariantBackward a{};
    static_cast<LstmVariant&>(a) = v.walk(starts, d, h0, c0);
    place(steps, a, &kept[d], v.kept_shapes(true));
    a.y = y.data + d * p, a.y_row = layer.y_row(), a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.w_hh = pack_panel(steps, layer.weights[d].hh, {0, width, p, false});
    if (hr) a.w_hr = pack_panel(steps, hr, {0, p, h, false}), a.dp = steps.room(rows * p);
    sums.push_back(place_sums(steps, a, v));
    a.dh = dh0.data + d * n * p, a.dc = dc0.data + d * n * h;
    walks.push_back(a);
  }
  steps.flush_subnormals();
  steps.add(kernels().recurrent->lstm_variant_backward, walks);
  for (int64_t d = 0; d < layer.directions(); ++d) {
    const LstmVariantBackward& a = walks[d];
    gradients.add(d, a.hat_x ? a.hat_x : a.gates, {{a.hat_h ? a.hat_h : a.gates, width, width}}, a.y, a.h0,
                  a.hat_x ? a.gates : nullptr);
    if (a.w_hr) product_over_rows(steps, rows, a.dp, p, p, a.m, h, h, d_hr[d].data);
    if (v.sums() > 0) sum_rows(steps, n, sums[d], v.sums(), v.sums(), d_sums[d].data);
  }
}

}  // namespace fastnn

#include "variant.h"

namespace fastnn {
namespace {

// One direction: (P, H), (3, H), (G * H), (G * H), (H), (H), each or none; the three norms together or none.
struct Extras {
  State hr, peephole, norm_x, norm_h, norm_c, bias_c;
};

int64_t gates_of(bool coupled) { return coupled ? 3 : 4; }

// What forward and backward are given alike.
struct Variant {
  Variant(const char* op, const F32& x, const std::optional<I64>& batch_sizes, const WeightList& weights,
          const WeightList& list, const std::vector<State>& masks, bool coupled, float clip, bool reads_ih = true);

  LstmVariant walk(int64_t direction, const State& h0, const State& c0) const;
  int64_t sums() const;  // columns of the gradients that are added up sample by sample
  std::vector<Shape> kept_shapes(bool keep) const;

  Layer layer;
  std::vector<Extras> extras;
  std::vector<State> masks;  // zone_c, zone_h, drop
  bool coupled;
  float clip;
};

Variant::Variant(const char* op, const F32& x, const std::optional<I64>& batch_sizes, const WeightList& weights,
                 const WeightList& list, const std::vector<State>& masks, bool coupled, float clip, bool reads_ih)
    : layer(op, gates_of(coupled), x, batch_sizes, weights, !list.empty() && list[0], reads_ih),
      masks(masks),
      coupled(coupled),
      clip(clip) {
  require(list.size() == 6 * layer.weights.size() && masks.size() == 3, op, "expected six more weights, three masks");
  const int64_t h = layer.h;
  const Shape shapes[] = {{layer.p, h}, {3, h}, {layer.width()}, {layer.width()}, {h}, {h}};
  const char* names[] = {"weight_hr",      "weight_peephole", "weight_norm_ih",
                         "weight_norm_hh", "weight_norm_c",   "bias_norm_c"};
  const std::string why = "weight_hh " + shape_text(shape_of(layer.weights[0].hh));
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i]) require_fits(*list[i], shapes[i % 6], op, names[i % 6] + std::string(i < 6 ? "" : "_reverse"), why);
    require(list[i].has_value() == list[i % 6].has_value(), op,
            std::string(names[i % 6]) + " is given for one direction only");
  }
  for (size_t i = 0; i < list.size(); i += 6)
    extras.push_back({list[i], list[i + 1], list[i + 2], list[i + 3], list[i + 4], list[i + 5]});
  const Extras& e = extras[0];
  require(e.norm_x.has_value() == e.norm_h.has_value() && e.norm_x.has_value() == e.norm_c.has_value(), op,
          "weight_norm_ih, weight_norm_hh and weight_norm_c come together or not at all");
  require(e.norm_c || !e.bias_c, op, "bias_norm_c needs weight_norm_c");
  require(clip > 0, op, "cell_clip must be positive");
  checked_mul(checked_mul(checked_add(layer.n, 1), checked_add(checked_mul(2, layer.width()), 5 * h)), 8);
}

int64_t Variant::sums() const {
  const Extras& e = extras[0];
  return (e.peephole ? 3 * layer.h : 0) + (e.norm_x ? 2 * layer.width() + 2 * layer.h : 0);
}

LstmVariant Variant::walk(int64_t direction, const State& h0, const State& c0) const {
  const Extras& e = extras[direction];
  LstmVariant a{};
  a.s = layer.sequence(direction), a.p = layer.p, a.coupled = coupled, a.clip = clip;
  a.peephole = data_or_null(e.peephole), a.norm_x = data_or_null(e.norm_x), a.norm_h = data_or_null(e.norm_h);
  a.norm_c = data_or_null(e.norm_c), a.bias_c = data_or_null(e.bias_c);
  a.zone_c = mask_of(layer, masks[0], "the mask of zoneout of c", direction, layer.h);
  a.zone_h = mask_of(layer, masks[1], "the mask of zoneout of h", direction, layer.p);
  a.drop = mask_of(layer, masks[2], "the mask of recurrent dropout", direction, layer.h);
  a.h0 = layer.state(h0, "h0", direction), a.c0 = layer.state(c0, "c0", direction, layer.h);
  a.y_row = layer.y_row();
  return a;
}

// gates, hat_x, hat_h, scale, c, m of one direction; empty: not kept.
std::vector<Shape> Variant::kept_shapes(bool keep) const {
  const int64_t rows = layer.gate_rows(keep), norms = extras[0].norm_x ? rows : 0;
  return {{rows, layer.width()},      {norms, layer.width()},
          {norms, layer.width()},     {norms, 2},
          {keep ? rows : 0, layer.h}, {extras[0].hr ? rows : 0, layer.h}};
}

void place(LstmVariant& a, std::vector<F32>& kept) {
  const auto data = [](F32& x) { return x.size() ? x.mutable_data() : nullptr; };
  a.gates = data(kept[0]), a.hat_x = data(kept[1]), a.hat_h = data(kept[2]), a.scale = data(kept[3]);
  a.c = data(kept[4]), a.m = data(kept[5]);
}

// Returns (y, h_n, c_n, kept): for each direction what is in kept_shapes.
std::tuple<F32, F32, F32, KeptArrays> forward(const F32& x, const std::optional<I64>& batch_sizes, const State& h0,
                                              const State& c0, const WeightList& weights, const WeightList& extras,
                                              const std::vector<State>& masks, bool coupled, float clip, bool keep) {
  const Variant v("lstm_variant", x, batch_sizes, weights, extras, masks, coupled, clip);
  const Layer& layer = v.layer;
  const int64_t n = layer.n, h = layer.h, p = layer.p, directions = layer.directions();
  F32 y = empty(layer.rows_shape(layer.y_row())), h_n = empty({directions, n, p}), c_n = empty({directions, n, h});
  std::vector<LstmVariantForward> walks;
  std::vector<Projection> projections;
  std::vector<std::shared_ptr<const Workspace>> packs;
  std::vector<State> biases;
  KeptArrays kept;
  for (int64_t d = 0; d < directions; ++d) {
    biases.push_back(sum_of(layer.weights[d].bias_ih, layer.weights[d].bias_hh));
    projections.emplace_back(layer, d, v.extras[d].norm_x ? State() : biases[d]);
    kept.push_back(empties(v.kept_shapes(keep)));
    LstmVariantForward a{v.walk(d, h0, c0), {}, keep};
    place(a, kept[d]);
    if (!keep) a.c = c_n.mutable_data() + d * n * h;
    packs.push_back(pack_step(layer.weights[d].hh, {{0, p, layer.width(), true}}));
    a.w_hh = packs.back()->data(), a.bias = data_or_null(biases[d]);
    if (v.extras[d].hr) packs.push_back(pack_step(*v.extras[d].hr, {{0, h, p, true}})), a.w_hr = packs.back()->data();
    a.y = y.mutable_data() + d * p;
    walks.push_back(a);
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_stretches(layer, projections, walks, kernels().recurrent->lstm_variant_forward, keep);
    for (int64_t d = 0; d < directions; ++d) {
      const std::vector<int64_t> last = layer.last_rows(d);
      copy_rows(walks[d].y, layer.y_row(), last, p, h_n.mutable_data() + d * n * p);
      if (keep) copy_rows(walks[d].c, h, last, h, c_n.mutable_data() + d * n * h);
    }
  }
  if (!keep) kept.clear();
  return {y, h_n, c_n, kept};
}

// The sums over the samples of one direction, (samples, columns), as the kernel adds them up.
void place_sums(LstmVariantBackward& a, const Variant& v, float* sums) {
  const int64_t h = v.layer.h, width = v.layer.width();
  a.sums_row = v.sums();
  std::fill(sums, sums + v.layer.n * a.sums_row, 0.0f);
  if (a.peephole) a.d_peephole = sums, sums += 3 * h;
  if (!a.norm_x) return;
  a.d_norm_x = sums, a.d_norm_h = sums + width, a.d_norm_c = sums + 2 * width, a.d_bias_c = a.d_norm_c + h;
}

// kept becomes gradients. Returns (dh0, dc0, dx, [weights], [gradient of weight_hr or None, of the peepholes and norms
// one after the other] of each direction).
std::tuple<F32, F32, State, WeightList, std::vector<std::pair<State, F32>>> backward(
    const F32& x, const std::optional<I64>& batch_sizes, const State& h0, const State& c0, const WeightList& weights,
    const WeightList& extras, const std::vector<State>& masks, bool coupled, float clip, const F32& y, KeptArrays& kept,
    const State& dy, const State& dh, const State& dc, bool want_x, const std::vector<bool>& wanted) {
  const Variant v("lstm_variant_backward", x, batch_sizes, weights, extras, masks, coupled, clip, want_x);
  const Layer& layer = v.layer;
  const int64_t n = layer.n, h = layer.h, p = layer.p, rows = layer.rows(), width = layer.width();
  layer.require_rows(y, layer.y_row(), "y");
  require_shapes(kept, layer.directions(), v.kept_shapes(true), layer.op);
  F32 dh0 = carried(layer, dh, "dh", p), dc0 = carried(layer, dc, "dc", h);
  LayerGradients gradients(layer, want_x, wanted);
  std::vector<LstmVariantBackward> walks;
  std::vector<std::shared_ptr<const Workspace>> packs;
  std::vector<std::shared_ptr<Workspace>> scratch;
  std::vector<std::pair<State, F32>> more;
  for (int64_t d = 0; d < layer.directions(); ++d) {
    LstmVariantBackward a{};
    static_cast<LstmVariant&>(a) = v.walk(d, h0, c0);
    place(a, kept[d]);
    a.y = const_cast<float*>(y.data()) + d * p;
    packs.push_back(pack_step(layer.weights[d].hh, {{0, width, p, false}}));
    a.w_hh = packs.back()->data();
    if (v.extras[d].hr) packs.push_back(pack_step(*v.extras[d].hr, {{0, p, h, false}})), a.w_hr = packs.back()->data();
    const int64_t sizes[] = {(a.w_hr ? rows : n) * p, n * h, n * h, n * v.sums()};
    for (const int64_t size : sizes) scratch.push_back(std::make_shared<Workspace>(size));
    const auto part = scratch.end() - 4;
    a.dp = part[0]->data(), a.dm = part[1]->data(), a.u = part[2]->data();
    place_sums(a, v, part[3]->data());
    a.dy = layer.gradient_of_y(dy, d), a.dy_row = layer.y_row();
    a.dh = dh0.mutable_data() + d * n * p, a.dc = dc0.mutable_data() + d * n * h;
    walks.push_back(a);
    more.emplace_back(a.w_hr ? State(empty({p, h})) : State(), empty({v.sums()}));
  }
  {
    const py::gil_scoped_release nogil;
    const FlushSubnormals flush;
    run_steps_of(kernels().recurrent->lstm_variant_backward, walks.data(), layer.directions());
    for (int64_t d = 0; d < layer.directions(); ++d) {
      const LstmVariantBackward& a = walks[d];
      gradients.add(d, a.hat_x ? a.hat_x : a.gates, {{a.hat_h ? a.hat_h : a.gates, width, width}}, a.y, a.h0,
                    a.hat_x ? a.gates : nullptr);
      if (a.w_hr) product_over_rows(rows, a.dp, p, p, a.m, h, h, more[d].first->mutable_data());
      if (v.sums() > 0)
        launch(kernels().gemm->sum_rows,
               SumRows{n, v.sums(), v.sums(), scratch[4 * d + 3]->data(), more[d].second.mutable_data(), nullptr});
    }
  }
  return {dh0, dc0, gradients.x(), gradients.weights(), more};
}

}  // namespace

void bind_lstm_variant(py::module_& m) {
  m.def("lstm_variant_forward", &forward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "c0"_a.noconvert(), "weights"_a.noconvert(), "extras"_a.noconvert(), "masks"_a.noconvert(), "coupled"_a,
        "clip"_a, "keep"_a);
  m.def("lstm_variant_backward", &backward, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "c0"_a.noconvert(), "weights"_a.noconvert(), "extras"_a.noconvert(), "masks"_a.noconvert(), "coupled"_a,
        "clip"_a, "y"_a.noconvert(), "kept"_a.noconvert(), "dy"_a.noconvert(), "dh"_a.noconvert(), "dc"_a.noconvert(),
        "want_x"_a, "wanted"_a);
}

}  // namespace fastnn

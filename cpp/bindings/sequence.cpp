// Recurrent layers: a call is a whole layer, in one direction or both. Arrays are C-contiguous; ops/recurrent says
// their shapes, and checks them.
#include "arrays.h"
#include "ops/recurrent/gru.h"
#include "ops/recurrent/gru_variant.h"
#include "ops/recurrent/lstm.h"
#include "ops/recurrent/lstm_variant.h"
#include "ops/recurrent/rnn.h"
#include "packed.h"
#include "steps.h"

namespace fastnn {
namespace {

using Maybe = std::optional<F32>;
using BatchSizes = std::optional<I64>;  // batch_sizes (T), or none
using List = std::vector<Maybe>;        // weight_ih, weight_hh, bias_ih, bias_hh, and again of the reverse direction
using Arrays = std::vector<std::vector<F32>>;  // of each direction what forward kept

std::vector<Weight> weights_of(const List& list, const char* op, bool reads_ih = true) {
  constexpr const char* kNames[] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
  std::vector<Weight> weights;
  for (size_t i = 0; i < list.size(); ++i) {
    const char* name = kNames[i % 4];
    if (!list[i] && (i % 4 == 1 || (i % 4 == 0 && reads_ih)))
      throw py::type_error(std::string(op) + ": " + name + (i < 4 ? "" : "_reverse") + " is None, expected an array");
    weights.push_back(dense_weight(list[i], op, name));
  }
  return weights;
}

Layer layer_of(const char* op, int64_t gates, const F32& x, const BatchSizes& batch_sizes, const List& weights,
               bool reads_ih = true) {
  return Layer(op, gates, dense(x, op, "x"), dense(batch_sizes, op, "batch_sizes"), weights_of(weights, op, reads_ih),
               false, reads_ih);
}

F32 empty_of(const Sizes& sizes) { return empty(Shape(sizes.begin(), sizes.end())); }

// Of every direction arrays of these shapes; none where they are not to be kept.
Arrays keep_arrays(bool keep, int64_t directions, const std::vector<Sizes>& shapes) {
  Arrays arrays(keep ? directions : 0);
  for (std::vector<F32>& of : arrays)
    for (const Sizes& shape : shapes) of.push_back(empty_of(shape));
  return arrays;
}
Kept outputs(Arrays& arrays, const char* op) {
  Kept kept;
  for (std::vector<F32>& of : arrays) {
    kept.emplace_back();
    for (F32& a : of) {
      require_contiguous(a, op, "what forward kept");
      kept.back().push_back(output(a));
    }
  }
  return kept;
}

// New arrays for what is wanted, and the views of them.
struct GradientArrays {
  GradientArrays(const Layer& layer, bool want_x, const std::vector<bool>& wanted) {
    require(static_cast<int64_t>(wanted.size()) == 4 * layer.directions(), layer.op,
            [] { return "expected a flag for every weight"; });
    if (want_x) x = empty_of(layer.rows_shape(layer.inputs));
    for (size_t i = 0; i < wanted.size(); ++i) {
      weights.emplace_back();
      if (wanted[i]) weights[i] = empty_of(layer.weight_shape(i % 4));
    }
    views.x = output(x);
    for (Maybe& w : weights) views.weights.push_back(output(w));
  }

  Maybe x;
  List weights;
  Gradients views;
};

// Returns (y, h_n).
std::pair<F32, F32> rnn_forward_arrays(const F32& x, const BatchSizes& batch_sizes, const Maybe& h0,
                                       const List& weights, bool relu) {
  const Layer layer = layer_of("rnn", 1, x, batch_sizes, weights);
  const Floats first = dense(h0, layer.op, "h0");
  F32 y = empty_of(layer.rows_shape(layer.y_row())), h_n = empty_of(layer.state_shape(layer.h));
  const Output to = output(y), last = output(h_n);
  run_op([&](Steps& steps) { rnn_forward(steps, layer, first, relu, to, last); });
  return {y, h_n};
}

// Returns (dh0, dx, [weights]); of the latter what is wanted.
std::tuple<F32, Maybe, List> rnn_backward_arrays(const F32& x, const BatchSizes& batch_sizes, const Maybe& h0,
                                                 const List& weights, const F32& y, const Maybe& dy, const Maybe& dh,
                                                 bool relu, bool want_x, const std::vector<bool>& wanted) {
  const Layer layer = layer_of("rnn_backward", 1, x, batch_sizes, weights, want_x);
  const char* op = layer.op;
  F32 dh0 = empty_of(layer.state_shape(layer.h));
  GradientArrays gradients(layer, want_x, wanted);
  const Floats first = dense(h0, op, "h0"), from = dense(y, op, "y"), of_y = dense(dy, op, "dy"),
               of_h = dense(dh, op, "dh");
  const Output of_h0 = output(dh0);
  run_op([&](Steps& steps) { rnn_backward(steps, layer, first, relu, from, of_y, of_h, of_h0, gradients.views); });
  return {dh0, gradients.x, gradients.weights};
}

// Returns (y, h_n, c_n, kept).
std::tuple<F32, F32, F32, Arrays> lstm_forward_arrays(const F32& x, const BatchSizes& batch_sizes, const Maybe& h0,
                                                      const Maybe& c0, const List& weights, bool keep) {
  const Layer layer = layer_of("lstm", 4, x, batch_sizes, weights);
  const char* op = layer.op;
  const Floats first_h = dense(h0, op, "h0"), first_c = dense(c0, op, "c0");
  const Sizes state = layer.state_shape(layer.h);
  F32 y = empty_of(layer.rows_shape(layer.y_row())), h_n = empty_of(state), c_n = empty_of(state);
  Arrays arrays = keep_arrays(keep, layer.directions(), layer.kept_shapes());
  const Kept kept = outputs(arrays, op);
  const Output to = output(y), last_h = output(h_n), last_c = output(c_n);
  run_op([&](Steps& steps) { lstm_forward(steps, layer, first_h, first_c, to, last_h, last_c, kept); });
  return {y, h_n, c_n, arrays};
}

// kept gates become their gradient. Returns (dh0, dc0, dx, [weights]); of the latter what is wanted.
std::tuple<F32, F32, Maybe, List> lstm_backward_arrays(const F32& x, const BatchSizes& batch_sizes, const Maybe& h0,
                                                       const Maybe& c0, const List& weights, const F32& y,
                                                       Arrays& arrays, const Maybe& dy, const Maybe& dh,
                                                       const Maybe& dc, bool want_x, const std::vector<bool>& wanted) {
  const Layer layer = layer_of("lstm_backward", 4, x, batch_sizes, weights, want_x);
  const char* op = layer.op;
  const Sizes state = layer.state_shape(layer.h);
  F32 dh0 = empty_of(state), dc0 = empty_of(state);
  GradientArrays gradients(layer, want_x, wanted);
  const Kept kept = outputs(arrays, op);
  const Floats first_h = dense(h0, op, "h0"), first_c = dense(c0, op, "c0"), from = dense(y, op, "y");
  const Floats of_y = dense(dy, op, "dy"), of_h = dense(dh, op, "dh"), of_c = dense(dc, op, "dc");
  const Output of_h0 = output(dh0), of_c0 = output(dc0);
  run_op([&](Steps& steps) {
    lstm_backward(steps, layer, first_h, first_c, from, kept, of_y, of_h, of_c, of_h0, of_c0, gradients.views);
  });
  return {dh0, dc0, gradients.x, gradients.weights};
}

// gru and gru_variant: no options, and those.
using Options = std::optional<GruOptions>;

std::tuple<F32, F32, Arrays> gru_forward_with(const Layer& layer, const Maybe& h0, const Options& options, bool keep) {
  const Floats first = dense(h0, layer.op, "h0");
  F32 y = empty_of(layer.rows_shape(layer.y_row())), h_n = empty_of(layer.state_shape(layer.h));
  Arrays arrays = keep_arrays(keep, layer.directions(), layer.kept_shapes());
  const Kept kept = outputs(arrays, layer.op);
  const Output to = output(y), last = output(h_n);
  run_op([&](Steps& steps) {
    if (options)
      gru_variant_forward(steps, layer, first, *options, to, last, kept);
    else
      gru_forward(steps, layer, first, to, last, kept);
  });
  return {y, h_n, arrays};
}

std::tuple<F32, Maybe, List> gru_backward_with(const Layer& layer, const Maybe& h0, const Options& options,
                                               const F32& y, Arrays& arrays, const Maybe& dy, const Maybe& dh,
                                               bool want_x, const std::vector<bool>& wanted) {
  const char* op = layer.op;
  F32 dh0 = empty_of(layer.state_shape(layer.h));
  GradientArrays gradients(layer, want_x, wanted);
  const Kept kept = outputs(arrays, op);
  const Floats first = dense(h0, op, "h0"), from = dense(y, op, "y"), of_y = dense(dy, op, "dy"),
               of_h = dense(dh, op, "dh");
  const Output of_h0 = output(dh0);
  run_op([&](Steps& steps) {
    if (options)
      gru_variant_backward(steps, layer, first, *options, from, kept, of_y, of_h, of_h0, gradients.views);
    else
      gru_backward(steps, layer, first, from, kept, of_y, of_h, of_h0, gradients.views);
  });
  return {dh0, gradients.x, gradients.weights};
}

GruOptions gru_options(const List& masks, bool reset_after, const char* op) {
  require(masks.size() == 2, op, [] { return "expected two masks"; });
  return {reset_after, dense(masks[0], op, "the mask of zoneout"),
          dense(masks[1], op, "the mask of recurrent dropout")};
}

// Returns (y, h_n, kept).
auto gru_forward_arrays(const F32& x, const BatchSizes& batch_sizes, const Maybe& h0, const List& weights, bool keep) {
  return gru_forward_with(layer_of("gru", 3, x, batch_sizes, weights), h0, std::nullopt, keep);
}
auto gru_variant_forward_arrays(const F32& x, const BatchSizes& batch_sizes, const Maybe& h0, const List& weights,
                                const List& masks, bool reset_after, bool keep) {
  const Layer layer = layer_of("gru_variant", 3, x, batch_sizes, weights);
  return gru_forward_with(layer, h0, gru_options(masks, reset_after, layer.op), keep);
}
// kept becomes gradients. Returns (dh0, dx, [weights]); of the latter what is wanted.
auto gru_backward_arrays(const F32& x, const BatchSizes& batch_sizes, const Maybe& h0, const List& weights,
                         const F32& y, Arrays& kept, const Maybe& dy, const Maybe& dh, bool want_x,
                         const std::vector<bool>& wanted) {
  const Layer layer = layer_of("gru_backward", 3, x, batch_sizes, weights, want_x);
  return gru_backward_with(layer, h0, std::nullopt, y, kept, dy, dh, want_x, wanted);
}
auto gru_variant_backward_arrays(const F32& x, const BatchSizes& batch_sizes, const Maybe& h0, const List& weights,
                                 const List& masks, bool reset_after, const F32& y, Arrays& kept, const Maybe& dy,
                                 const Maybe& dh, bool want_x, const std::vector<bool>& wanted) {
  const Layer layer = layer_of("gru_variant_backward", 3, x, batch_sizes, weights, want_x);
  return gru_backward_with(layer, h0, gru_options(masks, reset_after, layer.op), y, kept, dy, dh, want_x, wanted);
}

// extras: weight_hr, weight_peephole, weight_norm_ih, weight_norm_hh, weight_norm_c, bias_norm_c of each direction;
// masks: zoneout of c, of h, recurrent dropout.
LstmVariantLayer variant_of(const char* op, const F32& x, const BatchSizes& batch_sizes, const List& weights,
                            const List& list, const List& masks, bool coupled, float clip, bool reads_ih = true) {
  require(list.size() % 6 == 0 && masks.size() == 3, op, [] { return "expected six more weights, three masks"; });
  std::vector<LstmExtras> extras;
  for (size_t i = 0; i < list.size(); i += 6)
    extras.push_back({dense_weight(list[i], op, "weight_hr"), dense(list[i + 1], op, "weight_peephole"),
                      dense(list[i + 2], op, "weight_norm_ih"), dense(list[i + 3], op, "weight_norm_hh"),
                      dense(list[i + 4], op, "weight_norm_c"), dense(list[i + 5], op, "bias_norm_c")});
  const LstmOptions options{coupled, clip, dense(masks[0], op, "the mask of zoneout of c"),
                            dense(masks[1], op, "the mask of zoneout of h"),
                            dense(masks[2], op, "the mask of recurrent dropout")};
  return {op,      dense(x, op, "x"), dense(batch_sizes, op, "batch_sizes"), weights_of(weights, op, reads_ih), extras,
          options, reads_ih};
}

// Returns (y, h_n, c_n, kept).
std::tuple<F32, F32, F32, Arrays> lstm_variant_forward_arrays(const F32& x, const BatchSizes& batch_sizes,
                                                              const Maybe& h0, const Maybe& c0, const List& weights,
                                                              const List& extras, const List& masks, bool coupled,
                                                              float clip, bool keep) {
  const LstmVariantLayer v = variant_of("lstm_variant", x, batch_sizes, weights, extras, masks, coupled, clip);
  const Layer& layer = v.layer;
  const Floats first_h = dense(h0, layer.op, "h0"), first_c = dense(c0, layer.op, "c0");
  F32 y = empty_of(layer.rows_shape(layer.y_row()));
  F32 h_n = empty_of(layer.state_shape(layer.p)), c_n = empty_of(layer.state_shape(layer.h));
  Arrays arrays = keep_arrays(keep, layer.directions(), v.kept_shapes(true));
  const Kept kept = outputs(arrays, layer.op);
  const Output to = output(y), last_h = output(h_n), last_c = output(c_n);
  run_op([&](Steps& steps) { lstm_variant_forward(steps, v, first_h, first_c, to, last_h, last_c, kept); });
  return {y, h_n, c_n, arrays};
}

// kept becomes gradients. Returns (dh0, dc0, dx, [weights], [gradient of weight_hr or None, of the peepholes and norms
// one after the other] of each direction).
std::tuple<F32, F32, Maybe, List, std::vector<std::pair<Maybe, F32>>> lstm_variant_backward_arrays(
    const F32& x, const BatchSizes& batch_sizes, const Maybe& h0, const Maybe& c0, const List& weights,
    const List& extras, const List& masks, bool coupled, float clip, const F32& y, Arrays& arrays, const Maybe& dy,
    const Maybe& dh, const Maybe& dc, bool want_x, const std::vector<bool>& wanted) {
  const LstmVariantLayer v =
      variant_of("lstm_variant_backward", x, batch_sizes, weights, extras, masks, coupled, clip, want_x);
  const Layer& layer = v.layer;
  const char* op = layer.op;
  F32 dh0 = empty_of(layer.state_shape(layer.p)), dc0 = empty_of(layer.state_shape(layer.h));
  GradientArrays gradients(layer, want_x, wanted);
  std::vector<std::pair<Maybe, F32>> more;
  std::vector<Output> d_hr, d_sums;
  for (const LstmExtras& e : v.extras) {
    more.emplace_back(e.hr ? Maybe(empty({layer.p, layer.h})) : Maybe(), empty({v.sums()}));
    d_hr.push_back(output(more.back().first)), d_sums.push_back(output(more.back().second));
  }
  const Kept kept = outputs(arrays, op);
  const Floats first_h = dense(h0, op, "h0"), first_c = dense(c0, op, "c0"), from = dense(y, op, "y");
  const Floats of_y = dense(dy, op, "dy"), of_h = dense(dh, op, "dh"), of_c = dense(dc, op, "dc");
  const Output of_h0 = output(dh0), of_c0 = output(dc0);
  run_op([&](Steps& steps) {
    lstm_variant_backward(steps, v, first_h, first_c, from, kept, of_y, of_h, of_c, of_h0, of_c0, gradients.views, d_hr,
                          d_sums);
  });
  return {dh0, dc0, gradients.x, gradients.weights, more};
}

}  // namespace

void bind_sequence(py::module_& m) {
  m.def("gru_backward", &gru_backward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "y"_a.noconvert(), "kept"_a.noconvert(), "dy"_a.noconvert(), "dh"_a.noconvert(),
        "want_x"_a, "wanted"_a);
  m.def("gru_forward", &gru_forward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "keep"_a);
  m.def("gru_variant_backward", &gru_variant_backward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(),
        "h0"_a.noconvert(), "weights"_a.noconvert(), "masks"_a.noconvert(), "reset_after"_a, "y"_a.noconvert(),
        "kept"_a.noconvert(), "dy"_a.noconvert(), "dh"_a.noconvert(), "want_x"_a, "wanted"_a);
  m.def("gru_variant_forward", &gru_variant_forward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(),
        "h0"_a.noconvert(), "weights"_a.noconvert(), "masks"_a.noconvert(), "reset_after"_a, "keep"_a);
  m.def("lstm_backward", &lstm_backward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "c0"_a.noconvert(), "weights"_a.noconvert(), "y"_a.noconvert(), "kept"_a.noconvert(), "dy"_a.noconvert(),
        "dh"_a.noconvert(), "dc"_a.noconvert(), "want_x"_a, "wanted"_a);
  m.def("lstm_forward", &lstm_forward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "c0"_a.noconvert(), "weights"_a.noconvert(), "keep"_a);
  m.def("lstm_variant_backward", &lstm_variant_backward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(),
        "h0"_a.noconvert(), "c0"_a.noconvert(), "weights"_a.noconvert(), "extras"_a.noconvert(), "masks"_a.noconvert(),
        "coupled"_a, "clip"_a, "y"_a.noconvert(), "kept"_a.noconvert(), "dy"_a.noconvert(), "dh"_a.noconvert(),
        "dc"_a.noconvert(), "want_x"_a, "wanted"_a);
  m.def("lstm_variant_forward", &lstm_variant_forward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(),
        "h0"_a.noconvert(), "c0"_a.noconvert(), "weights"_a.noconvert(), "extras"_a.noconvert(), "masks"_a.noconvert(),
        "coupled"_a, "clip"_a, "keep"_a);
  m.def("rnn_backward", &rnn_backward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "y"_a.noconvert(), "dy"_a.noconvert(), "dh"_a.noconvert(), "relu"_a, "want_x"_a,
        "wanted"_a);
  m.def("rnn_forward", &rnn_forward_arrays, "x"_a.noconvert(), "batch_sizes"_a.noconvert(), "h0"_a.noconvert(),
        "weights"_a.noconvert(), "relu"_a);
}

}  // namespace fastnn

// The losses and their decoders: crf, cross_entropy, ctc, those of one element.
#include <limits>

#include "arrays.h"
#include "ops/crf.h"
#include "ops/cross_entropy.h"
#include "ops/ctc.h"
#include "ops/ctc_beam.h"
#include "ops/pointwise_loss.h"

namespace fastnn {
namespace bound {
namespace {

CrfArrays crf_chains(const F32& emissions, const F32& transitions, const F32& start, const F32& end, const I64& lengths,
                     const char* op) {
  require_ndim(emissions, 3, op, "emissions");
  require_contiguous(emissions, op, "emissions");
  const int64_t t = emissions.shape(0), n = emissions.shape(1), k = emissions.shape(2);
  check_crf_sizes(t, n, k, op);
  require_fits(transitions, {k, k}, op, "transitions");
  require_fits(start, {k}, op, "start");
  require_fits(end, {k}, op, "end");
  require_fits(lengths, {n}, op, "lengths");
  return {view(emissions), view(transitions), view(start), view(end), view(lengths)};
}

// (losses (N), gradients of emissions, of transitions, of start and end (2, K), each None where not wanted).
std::tuple<F32, Maybe, Maybe, Maybe> crf_loss(const F32& emissions, const I64& tags, const F32& transitions,
                                              const F32& start, const F32& end, const I64& lengths, const F32& weights,
                                              bool gradient, bool of_transitions) {
  const char* op = "crf_loss";
  const CrfArrays chains = crf_chains(emissions, transitions, start, end, lengths, op);
  const int64_t t = emissions.shape(0), n = emissions.shape(1), k = emissions.shape(2);
  require_fits(tags, {t, n}, op, "tags");
  require_fits(weights, {n}, op, "weights");
  F32 losses = empty({n});
  Maybe d_emissions, d_transitions, d_bounds;
  if (gradient) d_emissions = empty({t, n, k}), d_bounds = empty({2, k});
  if (gradient && of_transitions) d_transitions = empty({k, k});
  const CrfResult result{output(losses), output(d_emissions), output(d_transitions), output(d_bounds)};
  call_op(fastnn::crf_loss, chains, view(tags), view(weights), result);
  return {losses, d_emissions, d_transitions, d_bounds};
}

// (tags (N, T), -1 beyond lengths, scores (N))
std::pair<I64, F32> crf_decode(const F32& emissions, const F32& transitions, const F32& start, const F32& end,
                               const I64& lengths) {
  const CrfArrays chains = crf_chains(emissions, transitions, start, end, lengths, "crf_decode");
  I64 tags = empty<int64_t>({emissions.shape(1), emissions.shape(0)});
  F32 scores = empty({emissions.shape(1)});
  call_op(fastnn::crf_decode, chains, output(tags), output(scores));
  return {tags, scores};
}

// (loss, gradient): the total as a 0-d array, or with `each` the losses; gradient where wanted.
using Loss = std::pair<F32, Maybe>;

struct LossArrays {
  F32 total, losses;
  Maybe dx;

  LossArrays(const Shape& losses_shape, const Shape& dx_shape, bool each, bool gradient)
      : total(empty({})), losses(empty(each ? losses_shape : Shape{0})) {
    if (gradient) dx = empty(dx_shape);
  }
  Loss pair(bool each) const { return {each ? losses : total, dx}; }
};

void require_logits(const F32& x, const Maybe& weight, const char* op) {
  require_ndim(x, 2, op, "x");
  require_contiguous(x, op, "x");
  if (weight) require_fits(*weight, {x.shape(1)}, op, "weight");
}

// reduction: "none", "sum" or "mean", the last over the weights of the rows that count.
Loss cross_entropy(const F32& x, const I64& target, const Maybe& weight, int64_t ignore_index, float smoothing,
                   const std::string& reduction, bool gradient) {
  const char* op = "cross_entropy";
  require_logits(x, weight, op);
  require_fits(target, {x.shape(0)}, op, "target");
  const bool each = reduction == "none";
  LossArrays r({x.shape(0)}, shape_of(x), each, gradient);
  const CrossEntropyResult result{output(r.total), each ? output(r.losses) : Output(), output(r.dx)};
  call_op(fastnn::cross_entropy, reduction == "mean", smoothing, ignore_index, view(x), view(target), view(weight),
          result);
  return r.pair(each);
}

Loss cross_entropy_probabilities(const F32& x, const F32& target, const Maybe& weight, float smoothing,
                                 const std::string& reduction, bool gradient) {
  const char* op = "cross_entropy";
  require_logits(x, weight, op);
  require_fits(target, shape_of(x), op, "target");
  const bool each = reduction == "none";
  LossArrays r({x.shape(0)}, shape_of(x), each, gradient);
  const CrossEntropyResult result{output(r.total), each ? output(r.losses) : Output(), output(r.dx)};
  call_op(fastnn::cross_entropy_probabilities, reduction == "mean", smoothing, view(x), view(target), view(weight),
          result);
  return r.pair(each);
}

// (loss, gradients of x and of target where wanted) of the function of that name. weight, pos_weight: of the size of x.
std::tuple<F32, Maybe, Maybe> pointwise_loss(const std::string& name, const F32& x, const F32& target,
                                             const Maybe& weight, const Maybe& pos_weight, const Numbers& options,
                                             double scale, bool each, bool of_x, bool of_target) {
  const char* op = name.c_str();
  require_contiguous(x, op, "x");
  require_fits(target, shape_of(x), op, "target");
  if (weight) require_fits(*weight, shape_of(x), op, "weight");
  if (pos_weight) require_fits(*pos_weight, shape_of(x), op, "pos_weight");
  LossArrays r(shape_of(x), shape_of(x), each, of_x);
  Maybe dtarget;
  if (of_target) dtarget = empty(shape_of(x));
  const auto flat_or_none = [](const Maybe& a) { return a ? flat(*a) : Floats(); };
  const PointwiseLossArrays arrays{flat(x), flat(target), flat_or_none(weight), flat_or_none(pos_weight)};
  const PointwiseLossResult result{output(r.total), each ? flat_output(r.losses) : Output(),
                                   r.dx ? flat_output(*r.dx) : Output(), dtarget ? flat_output(*dtarget) : Output()};
  call_op(fastnn::pointwise_loss, name, numbers(options), scale, arrays, result);
  return {each ? r.losses : r.total, r.dx, dtarget};
}

void require_log_probs(const F32& x, const I64& frames, const char* op) {
  require_ndim(x, 3, op, "log_probs");
  require_contiguous(x, op, "log_probs");
  require_fits(frames, {x.shape(1)}, op, "input_lengths");
}

// (losses (N), gradient (T, N, C) times weights or None). Labels of sample i: lengths[i] of them from starts[i].
Loss ctc_loss(const F32& x, const I64& labels, const I64& starts, const I64& frames, const I64& lengths,
              const F32& weights, int64_t blank, bool zero_infinity, bool gradient) {
  const char* op = "ctc_loss";
  require_log_probs(x, frames, op);
  require_ndim(labels, 1, op, "targets");
  require_contiguous(labels, op, "targets");
  const int64_t n = x.shape(1);
  require_fits(starts, {n}, op, "starts");
  require_fits(lengths, {n}, op, "target_lengths");
  require_fits(weights, {n}, op, "weights");
  F32 losses = empty({n});
  Maybe dx;
  if (gradient) dx = empty(shape_of(x));
  call_op(fastnn::ctc_loss, blank, zero_infinity, view(x), view(frames),
          CtcTargets{view(labels), view(starts), view(lengths)}, view(weights), output(losses), output(dx));
  return {losses, dx};
}

// (labels (N, T), how many of them (N), scores (N))
std::tuple<I64, I64, F32> ctc_greedy(const F32& x, const I64& frames, int64_t blank) {
  require_log_probs(x, frames, "ctc_greedy_decode");
  const int64_t t = x.shape(0), n = x.shape(1);
  I64 labels = empty<int64_t>({n, t}), counts = empty<int64_t>({n});
  F32 scores = empty({n});
  call_op(fastnn::ctc_greedy, blank, view(x), view(frames), output(labels), output(counts), output(scores));
  return {labels, counts, scores};
}

// Of each sample the `top` best, best first: labels (N, top, T), zeros behind the last, how many (N, top), -1 where
// there is no such, and scores (N, top), -inf there.
std::tuple<I64, I64, F32> ctc_beam(const F32& x, const I64& frames, int64_t width, int64_t blank, int64_t top) {
  require_log_probs(x, frames, "ctc_beam_decode");
  const int64_t t = x.shape(0), n = x.shape(1);
  I64 labels = empty<int64_t>({n, top, t}), counts = empty<int64_t>({n, top});
  F32 scores = empty({n, top});
  int64_t *label = labels.mutable_data(), *count = counts.mutable_data();
  float* score = scores.mutable_data();
  const py::gil_scoped_release nogil;
  const std::vector<std::vector<CtcLabelling>> found = fastnn::ctc_beam(blank, width, view(x), view(frames));
  std::fill_n(label, n * top * t, 0);
  std::fill_n(count, n * top, -1);
  std::fill_n(score, n * top, -std::numeric_limits<float>::infinity());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < std::min<int64_t>(top, found[i].size()); ++k) {
      const CtcLabelling& one = found[i][k];
      std::copy(one.labels.begin(), one.labels.end(), label + (i * top + k) * t);
      count[i * top + k] = static_cast<int64_t>(one.labels.size());
      score[i * top + k] = static_cast<float>(one.score);
    }
  return {labels, counts, scores};
}

}  // namespace
}  // namespace bound

void bind_loss(py::module_& m) {
  m.def("crf_decode", &bound::crf_decode, "emissions"_a.noconvert(), "transitions"_a.noconvert(), "start"_a.noconvert(),
        "end"_a.noconvert(), "lengths"_a.noconvert());
  m.def("crf_loss", &bound::crf_loss, "emissions"_a.noconvert(), "tags"_a.noconvert(), "transitions"_a.noconvert(),
        "start"_a.noconvert(), "end"_a.noconvert(), "lengths"_a.noconvert(), "weights"_a.noconvert(), "gradient"_a,
        "of_transitions"_a);
  m.def("cross_entropy", &bound::cross_entropy, "x"_a.noconvert(), "target"_a.noconvert(), "weight"_a.noconvert(),
        "ignore_index"_a, "label_smoothing"_a, "reduction"_a, "gradient"_a);
  m.def("cross_entropy_probabilities", &bound::cross_entropy_probabilities, "x"_a.noconvert(), "target"_a.noconvert(),
        "weight"_a.noconvert(), "label_smoothing"_a, "reduction"_a, "gradient"_a);
  m.def("ctc_beam", &bound::ctc_beam, "log_probs"_a.noconvert(), "input_lengths"_a.noconvert(), "beam_width"_a,
        "blank"_a, "top"_a);
  m.def("ctc_greedy", &bound::ctc_greedy, "log_probs"_a.noconvert(), "input_lengths"_a.noconvert(), "blank"_a);
  m.def("ctc_loss", &bound::ctc_loss, "log_probs"_a.noconvert(), "targets"_a.noconvert(), "starts"_a.noconvert(),
        "input_lengths"_a.noconvert(), "target_lengths"_a.noconvert(), "weights"_a.noconvert(), "blank"_a,
        "zero_infinity"_a, "gradient"_a);
  m.def("pointwise_loss", &bound::pointwise_loss, "function"_a, "x"_a.noconvert(), "target"_a.noconvert(),
        "weight"_a.noconvert(), "pos_weight"_a.noconvert(), "options"_a, "scale"_a, "each"_a, "of_x"_a, "of_target"_a);
}

}  // namespace fastnn

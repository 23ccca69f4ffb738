#include "arrays.h"
#include "contract/loss.h"

namespace fastnn {
namespace {

Crf chains(const F32& emissions, const F32& transitions, const F32& start, const F32& end, const I64& lengths,
           const char* op) {
  require_ndim(emissions, 3, op, "emissions");
  const py::ssize_t t = emissions.shape(0), n = emissions.shape(1), k = emissions.shape(2);
  require(t >= 1 && k >= 1, op,
          "emissions has shape " + shape_text(shape_of(emissions)) + ", T and K must be at least 1");
  require_shape(transitions, {k, k}, op, "transitions");
  require_shape(start, {k}, op, "start");
  require_shape(end, {k}, op, "end");
  require_shape(lengths, {n}, op, "lengths");
  require_contiguous(emissions, op, "emissions");
  require_contiguous(transitions, op, "transitions");
  require_contiguous(start, op, "start");
  require_contiguous(end, op, "end");
  require_contiguous(lengths, op, "lengths");
  for (py::ssize_t i = 0; i < n; ++i)
    require(lengths.data()[i] >= 1 && lengths.data()[i] <= t, op,
            "lengths[" + std::to_string(i) + "] is " + std::to_string(lengths.data()[i]) + ", expected 1 to " +
                std::to_string(t));
  // More than the scratch of a thread and than the partial sums.
  checked_mul(checked_mul(checked_add(checked_mul(k, 256), t), checked_add(k, 64)), 64);
  return {t, n, k, emissions.data(), transitions.data(), start.data(), end.data(), lengths.data()};
}

// Every tag that counts is one of k. The kernel does not look again.
void require_tags(const Crf& g, const int64_t* tags) {
  for (int64_t i = 0; i < g.n; ++i)
    for (int64_t t = 0; t < g.lengths[i]; ++t) {
      const int64_t tag = tags[t * g.n + i];
      if (tag < 0 || tag >= g.k)
        throw py::index_error("crf_loss: tag " + std::to_string(t) + " of sample " + std::to_string(i) + " is " +
                              std::to_string(tag) + ", expected 0 to " + std::to_string(g.k - 1));
    }
}

using Maybe = std::optional<F32>;

// (losses (N), gradients of emissions, of transitions, of start and end (2, K), each None where not wanted).
std::tuple<F32, Maybe, Maybe, Maybe> loss(const F32& emissions, const I64& tags, const F32& transitions,
                                          const F32& start, const F32& end, const I64& lengths, const F32& weights,
                                          bool gradient, bool of_transitions) {
  const char* op = "crf_loss";
  CrfLoss a{};
  a.g = chains(emissions, transitions, start, end, lengths, op);
  require_shape(tags, {a.g.t, a.g.n}, op, "tags");
  require_contiguous(tags, op, "tags");
  require_shape(weights, {a.g.n}, op, "weights");
  require_contiguous(weights, op, "weights");
  require_tags(a.g, tags.data());
  F32 losses = empty({a.g.n});
  Maybe d_emissions, d_transitions, d_bounds;
  if (gradient) {
    d_emissions = empty(shape_of(emissions));
    d_bounds = empty({2, a.g.k});
    if (of_transitions) d_transitions = empty(shape_of(transitions));
  }
  a.tags = tags.data(), a.weights = weights.data(), a.losses = losses.mutable_data();
  a.d_emissions = d_emissions ? d_emissions->mutable_data() : nullptr;
  a.d_transitions = d_transitions ? d_transitions->mutable_data() : nullptr;
  a.d_bounds = d_bounds ? d_bounds->mutable_data() : nullptr;
  {
    const py::gil_scoped_release nogil;
    launch(kernels().loss->crf_loss, a);
  }
  return {losses, d_emissions, d_transitions, d_bounds};
}

// (tags (N, T), -1 beyond lengths, scores (N))
std::pair<I64, F32> decode(const F32& emissions, const F32& transitions, const F32& start, const F32& end,
                           const I64& lengths) {
  CrfDecode a{chains(emissions, transitions, start, end, lengths, "crf_decode"), nullptr, nullptr};
  require(a.g.k <= INT32_MAX, "crf_decode", "K is more than 2**31 - 1");
  I64 tags = empty<int64_t>({a.g.n, a.g.t});
  F32 scores = empty({a.g.n});
  a.tags = tags.mutable_data(), a.scores = scores.mutable_data();
  {
    const py::gil_scoped_release nogil;
    launch(kernels().loss->crf_decode, a);
  }
  return {tags, scores};
}

}  // namespace

void bind_crf(py::module_& m) {
  m.def("crf_decode", &decode, "emissions"_a.noconvert(), "transitions"_a.noconvert(), "start"_a.noconvert(),
        "end"_a.noconvert(), "lengths"_a.noconvert());
  m.def("crf_loss", &loss, "emissions"_a.noconvert(), "tags"_a.noconvert(), "transitions"_a.noconvert(),
        "start"_a.noconvert(), "end"_a.noconvert(), "lengths"_a.noconvert(), "weights"_a.noconvert(), "gradient"_a,
        "of_transitions"_a);
}

}  // namespace fastnn

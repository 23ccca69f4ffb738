#include "arrays.h"
#include "contract/loss.h"
#include "ops/ctc_beam.h"

namespace fastnn {
namespace {

void require_log_probs(const F32& x, const I64& frames, int64_t blank, const char* op) {
  require_ndim(x, 3, op, "log_probs");
  require_contiguous(x, op, "log_probs");
  require(blank >= 0 && blank < x.shape(2), op,
          "blank is " + std::to_string(blank) + ", expected a class of log_probs " + shape_text(shape_of(x)));
  require_shape(frames, {x.shape(1)}, op, "input_lengths");
  require_contiguous(frames, op, "input_lengths");
  for (py::ssize_t i = 0; i < frames.size(); ++i)
    require(frames.data()[i] >= 0 && frames.data()[i] <= x.shape(0), op,
            "input_lengths[" + std::to_string(i) + "] is " + std::to_string(frames.data()[i]) + ", expected 0 to " +
                std::to_string(x.shape(0)) + ", the frames of log_probs " + shape_text(shape_of(x)));
}

// Every label is a class and none is the blank. The kernel does not look again.
void require_labels(const Ctc& a, const char* op) {
  for (int64_t i = 0; i < a.n; ++i)
    for (int64_t j = 0; j < a.lengths[i]; ++j) {
      const int64_t label = a.labels[a.starts[i] + j];
      const auto message = [&](const char* expected) {
        return std::string(op) + ": target " + std::to_string(j) + " of sample " + std::to_string(i) + " is " +
               std::to_string(label) + expected;
      };
      if (label < 0 || label >= a.c) throw py::index_error(message(", expected 0 to ") + std::to_string(a.c - 1));
      if (label == a.blank) throw py::value_error(message(", the blank"));
    }
}

// (losses (N), gradient (T, N, C) times weights or None). Labels of sample i: lengths[i] of them from starts[i].
std::pair<F32, std::optional<F32>> loss(const F32& x, const I64& labels, const I64& starts, const I64& frames,
                                        const I64& lengths, const F32& weights, int64_t blank, bool zero_infinity,
                                        bool gradient) {
  const char* op = "ctc_loss";
  require_log_probs(x, frames, blank, op);
  require_ndim(labels, 1, op, "targets");
  require_contiguous(labels, op, "targets");
  Ctc a{};
  a.t = x.shape(0), a.n = x.shape(1), a.c = x.shape(2), a.blank = blank, a.zero_infinity = zero_infinity;
  require_shape(starts, {a.n}, op, "starts");
  require_contiguous(starts, op, "starts");
  require_shape(lengths, {a.n}, op, "target_lengths");
  require_contiguous(lengths, op, "target_lengths");
  require_shape(weights, {a.n}, op, "weights");
  require_contiguous(weights, op, "weights");
  a.x = x.data(), a.labels = labels.data(), a.starts = starts.data(), a.lengths = lengths.data();
  a.frames = frames.data(), a.weights = weights.data();
  for (int64_t i = 0; i < a.n; ++i) {
    require(checked_add(a.starts[i], a.lengths[i]) <= labels.shape(0), op,
            "target_lengths[" + std::to_string(i) + "] is more than targets " + shape_text(shape_of(labels)) + " hold");
    a.s = std::max(a.s, a.lengths[i]);
  }
  require_labels(a, op);
  checked_mul(checked_mul(checked_add(a.t, 8), checked_add(a.s, 64)), 64);  // more than the scratch of a thread
  F32 losses = empty({a.n});
  std::optional<F32> dx;
  if (gradient) dx = empty({a.t, a.n, a.c});
  a.losses = losses.mutable_data();
  a.dx = dx ? dx->mutable_data() : nullptr;
  {
    const py::gil_scoped_release nogil;
    launch(kernels().loss->ctc, a);
  }
  return {losses, dx};
}

// (labels (N, T), how many of them (N), scores (N))
std::tuple<I64, I64, F32> greedy(const F32& x, const I64& frames, int64_t blank) {
  require_log_probs(x, frames, blank, "ctc_greedy_decode");
  const py::ssize_t t = x.shape(0), n = x.shape(1);
  I64 labels = empty<int64_t>({n, t}), counts = empty<int64_t>({n});
  F32 scores = empty({n});
  const CtcGreedy a{t,
                    n,
                    x.shape(2),
                    blank,
                    x.data(),
                    frames.data(),
                    labels.mutable_data(),
                    counts.mutable_data(),
                    scores.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().loss->ctc_greedy, a);
  }
  return {labels, counts, scores};
}

// For each sample its beam, best first: (labels, score).
std::vector<std::vector<std::pair<I64, double>>> beam(const F32& x, const I64& frames, int64_t width, int64_t blank) {
  const char* op = "ctc_beam_decode";
  require_log_probs(x, frames, blank, op);
  require(width >= 1 && width < int64_t{1} << 31, op,
          "beam_width is " + std::to_string(width) + ", expected at least 1");
  const CtcBeam a{x.shape(0), x.shape(1), x.shape(2), blank, width, x.data(), frames.data()};
  std::vector<std::vector<CtcLabelling>> found;
  {
    const py::gil_scoped_release nogil;
    found = ctc_beam(a);
  }
  std::vector<std::vector<std::pair<I64, double>>> result(found.size());
  for (size_t i = 0; i < found.size(); ++i)
    for (const CtcLabelling& one : found[i]) {
      I64 labels = empty<int64_t>({static_cast<py::ssize_t>(one.labels.size())});
      std::copy(one.labels.begin(), one.labels.end(), labels.mutable_data());
      result[i].emplace_back(labels, one.score);
    }
  return result;
}

}  // namespace

void bind_ctc(py::module_& m) {
  m.def("ctc_beam", &beam, "log_probs"_a.noconvert(), "input_lengths"_a.noconvert(), "beam_width"_a, "blank"_a);
  m.def("ctc_greedy", &greedy, "log_probs"_a.noconvert(), "input_lengths"_a.noconvert(), "blank"_a);
  m.def("ctc_loss", &loss, "log_probs"_a.noconvert(), "targets"_a.noconvert(), "starts"_a.noconvert(),
        "input_lengths"_a.noconvert(), "target_lengths"_a.noconvert(), "weights"_a.noconvert(), "blank"_a,
        "zero_infinity"_a, "gradient"_a);
}

}  // namespace fastnn

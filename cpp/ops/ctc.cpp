#include "ops/ctc.h"

#include "contract/loss.h"
#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

constexpr const char* kLoss = "ctc_loss";

// Every label is a class and none is the blank. The kernel does not look again.
void check_labels(const Ctc& a) {
  for (int64_t i = 0; i < a.n; ++i)
    for (int64_t j = 0; j < a.lengths[i]; ++j) {
      const int64_t label = a.labels[a.starts[i] + j];
      const auto message = [&](const char* expected) {
        return "target " + std::to_string(j) + " of sample " + std::to_string(i) + " is " + std::to_string(label) +
               expected;
      };
      if (label < 0 || label >= a.c)
        throw std::out_of_range(std::string(kLoss) + ": " + message(", expected 0 to ") + std::to_string(a.c - 1));
      check(label != a.blank, kLoss, [&] { return message(", the blank"); });
    }
}

// The largest of lengths, all of which `labels` hold.
int64_t longest(const Ctc& a, const Ints& labels) {
  int64_t most = 0;
  for (int64_t i = 0; i < a.n; ++i) {
    check(checked_add(a.starts[i], a.lengths[i]) <= labels.sizes[0], kLoss,
          [&] { return "target_lengths[" + std::to_string(i) + "] is more than targets " + text(labels) + " hold"; });
    most = std::max(most, a.lengths[i]);
  }
  return most;
}

}  // namespace

void check_ctc_blank(const Floats& log_probs, int64_t blank, const char* op) {
  check(blank >= 0 && blank < log_probs.sizes[2], op,
        [&] { return "blank is " + std::to_string(blank) + ", expected a class of log_probs " + text(log_probs); });
}

void check_ctc_frames(const Floats& log_probs, const Ints& frames, const char* op) {
  const int64_t most = log_probs.sizes[0];
  for (int64_t i = 0; i < frames.sizes[0]; ++i)
    check(frames.data[i] >= 0 && frames.data[i] <= most, op, [&] {
      return "input_lengths[" + std::to_string(i) + "] is " + std::to_string(frames.data[i]) + ", expected 0 to " +
             std::to_string(most) + ", the frames of log_probs " + text(log_probs);
    });
}

void ctc_loss(Steps& steps, int64_t blank, bool zero_infinity, const Floats& log_probs, const Ints& frames,
              const CtcTargets& targets, const Floats& weights, const Output& losses, const Output& dx) {
  check_ctc_blank(log_probs, blank, kLoss);
  Ctc a{};
  a.t = log_probs.sizes[0], a.n = log_probs.sizes[1], a.c = log_probs.sizes[2];
  a.blank = blank, a.zero_infinity = zero_infinity;
  a.x = log_probs.data, a.frames = frames.data, a.weights = weights.data;
  a.labels = targets.labels.data, a.starts = targets.starts.data, a.lengths = targets.lengths.data;
  a.losses = losses.data, a.dx = dx.data;
  steps.call([a, log_probs, frames, labels = targets.labels, &kernel = kernels().loss->ctc] {
    check_ctc_frames(log_probs, frames, kLoss);
    Ctc sized = a;
    sized.s = longest(a, labels);
    check_labels(a);
    checked_mul(checked_mul(checked_add(a.t, 8), checked_add(sized.s, 64)), 64);  // more than the scratch of a thread
    launch(kernel, sized);
  });
}

void ctc_greedy(Steps& steps, int64_t blank, const Floats& log_probs, const Ints& frames, const View<int64_t>& labels,
                const View<int64_t>& counts, const Output& scores) {
  const char* op = "ctc_greedy_decode";
  check_ctc_blank(log_probs, blank, op);
  steps.call([=] { check_ctc_frames(log_probs, frames, op); });
  steps.add(kernels().loss->ctc_greedy, CtcGreedy{log_probs.sizes[0], log_probs.sizes[1], log_probs.sizes[2], blank,
                                                  log_probs.data, frames.data, labels.data, counts.data, scores.data});
}

}  // namespace fastnn

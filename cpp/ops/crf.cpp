#include "ops/crf.h"

#include "contract/loss.h"
#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

Crf args_of(const CrfArrays& a) {
  return {a.emissions.sizes[0], a.emissions.sizes[1], a.emissions.sizes[2], a.emissions.data,
          a.transitions.data,   a.start.data,         a.end.data,           a.lengths.data};
}

// The kernels look at neither lengths nor tags again.
void check_lengths(const Crf& g, const char* op) {
  for (int64_t i = 0; i < g.n; ++i)
    check(g.lengths[i] >= 1 && g.lengths[i] <= g.t, op, [&] {
      return "lengths[" + std::to_string(i) + "] is " + std::to_string(g.lengths[i]) + ", expected 1 to " +
             std::to_string(g.t);
    });
}

// Every tag that counts is one of k.
void check_tags(const Crf& g, const int64_t* tags) {
  for (int64_t i = 0; i < g.n; ++i)
    for (int64_t t = 0; t < g.lengths[i]; ++t) {
      const int64_t tag = tags[t * g.n + i];
      if (tag < 0 || tag >= g.k)
        throw std::out_of_range("crf_loss: tag " + std::to_string(t) + " of sample " + std::to_string(i) + " is " +
                                std::to_string(tag) + ", expected 0 to " + std::to_string(g.k - 1));
    }
}

}  // namespace

void check_crf_sizes(int64_t t, int64_t n, int64_t k, const char* op) {
  check(t >= 1 && k >= 1, op,
        [&] { return "emissions has shape " + text({t, n, k}) + ", T and K must be at least 1"; });
  // More than the scratch of a thread and than the partial sums.
  checked_mul(checked_mul(checked_add(checked_mul(k, 256), t), checked_add(k, 64)), 64);
}

void crf_loss(Steps& steps, const CrfArrays& chains, const Ints& tags, const Floats& weights, const CrfResult& result) {
  CrfLoss a{};
  a.g = args_of(chains), a.tags = tags.data, a.weights = weights.data, a.losses = result.losses.data;
  a.d_emissions = result.d_emissions.data, a.d_transitions = result.d_transitions.data;
  a.d_bounds = result.d_bounds.data;
  steps.call([g = a.g, tags = a.tags] {
    check_lengths(g, "crf_loss");
    check_tags(g, tags);
  });
  steps.add(kernels().loss->crf_loss, a);
}

void crf_decode(Steps& steps, const CrfArrays& chains, const View<int64_t>& tags, const Output& scores) {
  const CrfDecode a{args_of(chains), tags.data, scores.data};
  check(a.g.k <= INT32_MAX, "crf_decode", "K is more than 2**31 - 1");
  steps.call([g = a.g] { check_lengths(g, "crf_decode"); });
  steps.add(kernels().loss->crf_decode, a);
}

}  // namespace fastnn

// What gru, lstm and rnn share. Samples do not depend on each other, so a task is some samples through the whole walk,
// and no task waits for another. So few samples that this would leave cores idle share out hidden units instead: a task
// is some units of every sample, and all tasks wait for each other after every step, since a step needs all of h.
// run() takes what its tasks cover together, step by step, and within a step panel by panel of the packed weight, so
// that a panel serves every row while it is in cache.
//   forward:  a panel is kLanes hidden units of every gate: [h][gate][kLanes]; of rnn as backward
//   backward: a panel is some vectors of hidden units, as panel.h has it: dh = dgates . w_hh
// Each element is one chain of multiply-adds in the order of k, so neither tiles nor tasks change a bit.
#pragma once
#include "contract/recurrent.h"
#include "panel.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kRowWork = 1 << 18;   // multiply-adds a task of samples should have
constexpr int64_t kUnitRows = 4;        // samples up to which units are shared out,
constexpr int64_t kUnitWork = 1 << 15;  // if a step has so many multiply-adds per sample: waiting costs a microsecond

[[gnu::always_inline]] inline bool by_units(const Sequence& s, int64_t gates) {
  return s.n <= kUnitRows && gates * s.h * s.h >= kUnitWork;
}

[[gnu::always_inline]] inline int64_t rows_at(const Sequence& s, int64_t time) {
  return s.starts[time + 1] - s.starts[time];
}
[[gnu::always_inline]] inline int64_t all_rows(const Sequence& s) { return s.starts[s.t]; }

// Tasks of samples.
[[gnu::always_inline]] inline int64_t sample_tasks(const Sequence& s, int64_t gates) {
  if (s.n == 0) return 0;
  return ceil_div(s.n, ceil_div(kRowWork, ceil_div(all_rows(s), s.n) * gates * s.h * s.h));
}

// The time of a step of the walk.
[[gnu::always_inline]] inline int64_t time_of(const Sequence& s, int64_t step) {
  return s.reverse ? s.t - 1 - step : step;
}

[[gnu::always_inline]] inline Stretch whole(const Sequence& s) { return {0, s.t, 0}; }

// The first sample of such a task: in the part of the walk that is walked, all have nearly the same number of rows.
inline int64_t task_sample(const Sequence& s, const Stretch& part, int64_t gates, int64_t task) {
  const int64_t tasks = sample_tasks(s, gates);
  if (all_rows(s) == s.t * s.n) return s.n * task / tasks;
  const auto rows_of = [&](int64_t samples) {  // of the first samples
    int64_t rows = 0;
    for (int64_t step = part.begin; step < part.end; ++step) rows += min64(rows_at(s, time_of(s, step)), samples);
    return rows;
  };
  const int64_t rows = rows_of(s.n) * task / tasks;
  int64_t low = 0, high = s.n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (rows_of(middle) < rows)
      low = middle + 1;
    else
      high = middle;
  }
  return task == tasks ? s.n : low;
}

// f(first, last, before) for those of the samples [first, last) that have a row at this step: first for those that go
// on from the step before, whose packed rows begin at `before`, then for those that begin here, with before == -1.
template <class F>
[[gnu::always_inline]] inline void for_samples(const Sequence& s, int64_t step, int64_t first, int64_t last, F f) {
  const int64_t count = rows_at(s, time_of(s, step));
  const int64_t old = step == 0 ? 0 : min64(count, rows_at(s, time_of(s, step - 1)));
  if (first < min64(last, old)) f(first, min64(last, old), s.starts[time_of(s, step - 1)]);
  if (max64(first, old) < min64(last, count)) f(max64(first, old), min64(last, count), int64_t{-1});
}

// Row `sample` of what a step reads of the one before: of `all` (rows, ...) or, where the sample begins, of `first`
// (n, h), which may be null: zeros.
[[gnu::always_inline]] inline const float* row_before(const float* first, int64_t h, const float* all, int64_t all_row,
                                                      int64_t before, int64_t sample) {
  if (before >= 0) return all + (before + sample) * all_row;
  return first ? first + sample * h : nullptr;
}

// dh of a step: what came from the step after, plus dy where there is one.
[[gnu::always_inline]] inline vf gradient_of_h(const float* dh, const float* dy, int64_t lanes) {
  const vf d = load_n(dh, lanes);
  return dy ? d + load_n(dy, lanes) : d;
}

// The two kinds of tasks as a SteppedKernel. forward: walk(step, first sample, last sample, first panel, last panel).
[[gnu::always_inline]] inline int64_t walk_tasks(const Sequence& s, int64_t gates, int64_t panels) {
  return by_units(s, gates) ? panels : sample_tasks(s, gates);
}

template <class F>
[[gnu::always_inline]] inline void walk_forward(const Sequence& s, const Stretch& part, int64_t gates, int64_t panels,
                                                int64_t step, int64_t begin, int64_t end, F walk) {
  if (by_units(s, gates)) return walk(part.begin + step, 0, s.n, begin, end);
  const int64_t first = task_sample(s, part, gates, begin), last = task_sample(s, part, gates, end);
  for (step = part.begin; step < part.end; ++step) walk(step, first, last, 0, panels);
}

// backward, from the last step to the first: gates(step, first sample, last, first unit, last) makes the gradient of
// the gates from dh, then product(step, first sample, last, first panel, last) dh of the step before. With units shared
// out the product comes a step later, when all of the gates' gradient is there.
template <class Gates, class Product>
[[gnu::always_inline]] inline void walk_backward(const Sequence& s, int64_t count, int64_t step, int64_t begin,
                                                 int64_t end, Gates gates, Product product) {
  const int64_t h = s.h;
  if (by_units(s, count)) {
    if (step > 0) product(s.t - step, 0, s.n, begin, end);
    if (step < s.t)
      gates(s.t - 1 - step, 0, s.n, panel_vector(h, begin) * kLanes, min64(h, panel_vector(h, end) * kLanes));
    return;
  }
  const int64_t first = task_sample(s, whole(s), count, begin), last = task_sample(s, whole(s), count, end);
  for (step = s.t; step-- > 0;) {
    gates(step, first, last, 0, h);
    product(step, first, last, 0, panels_of(h));
  }
}

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// optimizer: the steps of the rules of rules.h, each weight read and written once, and the sum of squares for gradient
// norms. Every element is on its own, so cutting the range into chunks never changes a bit.
#include "contract/optim.h"
#include "core/simd.h"
#include "rules.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunk = 1 << 15;

int64_t chunks(int64_t n) { return ceil_div(n, kChunk); }

int64_t step_tasks(const OptimizerStep& s) { return chunks(s.n); }

template <class Rule>
[[gnu::always_inline]] inline void step(const OptimizerStep& s, int64_t i, int64_t n) {
  const vf w = load_n(s.weight + i, n), g = load_n(s.grad + i, n);
  store_n(s.weight + i, Rule::step(w, g, States{s.states, i, n}, s.options), n);
}

// flatten: the rule is part of the loop, whatever it calls.
template <class Rule>
[[gnu::flatten]] void run_step(const OptimizerStep& args, int64_t begin, int64_t end, float*) {
  const OptimizerStep s = args;  // a copy of our own: stores cannot change it
  const int64_t last = min64(s.n, end * kChunk);
  int64_t i = begin * kChunk;
  for (; i + kLanes <= last; i += kLanes) step<Rule>(s, i, kLanes);
  if (i < last) step<Rule>(s, i, last - i);
}

template <class Rule>
OptimizerKernel row(const char* name) {
  static_assert(Rule::kStates <= kMostStates && Rule::kOptions <= kMostRuleOptions, "the contract has no such room");
  return {name, Rule::kStates, Rule::kOptions, Rule::used, {{{step_tasks, nullptr, run_step<Rule>}}}};
}

// Eight doubles at every level: the order of addition, and so every bit, is the same on all machines.
typedef double vd __attribute__((vector_size(64)));
typedef float vh __attribute__((vector_size(32)));

int64_t sum_squares_tasks(const SumSquares& s) { return chunks(s.n); }
double* partials(const SumSquares& s) { return reinterpret_cast<double*>(s.workspace); }  // one per task
int64_t workspace(const SumSquares& s) { return 2 * chunks(s.n); }

double sum_chunk(const float* x, int64_t n) {
  vd a = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    vh part;
    __builtin_memcpy(&part, x + i, sizeof part);
    const vd wide = __builtin_convertvector(part, vd);
    a += wide * wide;
  }
  for (int64_t j = 0; i + j < n; ++j) a[j] += (double)x[i + j] * (double)x[i + j];
  return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

void run_sum_squares_partial(const SumSquares& s, int64_t begin, int64_t end, float*) {
  for (int64_t i = begin; i < end; ++i) partials(s)[i] = sum_chunk(s.x + i * kChunk, min64(kChunk, s.n - i * kChunk));
}

int64_t one_task(const SumSquares&) { return 1; }

void run_sum_squares(const SumSquares& s, int64_t, int64_t, float*) {
  double total = 0;
  for (int64_t i = 0; i < chunks(s.n); ++i) total += partials(s)[i];
  *s.out = total;
}

}  // namespace

void add_optimizer(OptimKernels& k) {
  static const OptimizerKernel rows[] = {
      // clang-format off
      row<Adam>("adam"),
      row<Rmsprop>("rmsprop"),
      row<Sgd>("sgd"),
      // clang-format on
  };
  k.rules = rows;
  k.rule_count = sizeof rows / sizeof rows[0];
  k.sum_squares = {{{sum_squares_tasks, nullptr, run_sum_squares_partial}, {one_task, nullptr, run_sum_squares}},
                   workspace,
                   &SumSquares::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

// optimizer: the steps of SGD and Adam, each weight read and written once, and the sum of squares for gradient norms.
// Every element is on its own, so cutting the range into chunks never changes a bit.
#include "contract/optim.h"
#include "core/simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunk = 1 << 15;

int64_t chunks(int64_t n) { return ceil_div(n, kChunk); }

int64_t sgd_tasks(const Sgd& s) { return chunks(s.n); }

[[gnu::always_inline]] inline void sgd_vector(const Sgd& s, int64_t i, int64_t n) {
  const vf w = load_n(s.weight + i, n);
  vf d = load_n(s.grad + i, n);
  if (s.maximize) d = -d;
  if (s.weight_decay != 0) d = fma(splat(s.weight_decay), w, d);
  if (s.buffer) {
    vf b = d;
    if (!s.first) b = fma(splat(s.momentum), load_n(s.buffer + i, n), splat(s.one_minus_dampening) * d);
    store_n(s.buffer + i, b, n);
    d = s.nesterov ? fma(splat(s.momentum), b, d) : b;
  }
  store_n(s.weight + i, fma(splat(-s.lr), d, w), n);
}

void run_sgd(const Sgd& args, int64_t begin, int64_t end, float*) {
  const Sgd s = args;  // a copy of our own: stores cannot change it
  const int64_t last = min64(s.n, end * kChunk);
  int64_t i = begin * kChunk;
  for (; i + kLanes <= last; i += kLanes) sgd_vector(s, i, kLanes);
  if (i < last) sgd_vector(s, i, last - i);
}

int64_t adam_tasks(const Adam& a) { return chunks(a.n); }

// beta old + (1 - beta) now. Near beta = 1 the rounding of beta itself would be felt (of 0.999: 1e-5 of v), so the
// smaller of the two weights is used, on the difference.
[[gnu::always_inline]] inline vf average(vf old, vf now, float beta, float one_minus_beta) {
  return beta < 0.5f ? fma(splat(beta), old - now, now) : fma(splat(one_minus_beta), now - old, old);
}

[[gnu::always_inline]] inline vf square_root(vf x) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps((__mmask16)-1, x);  // the plain one warns on GCC 12
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(x);
#else
  for (int64_t i = 0; i < kLanes; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

[[gnu::always_inline]] inline void adam_vector(const Adam& a, int64_t i, int64_t n) {
  const vf w = load_n(a.weight + i, n);
  vf g = load_n(a.grad + i, n);
  if (a.maximize) g = -g;
  if (!a.decoupled) g = fma(splat(a.weight_decay), w, g);
  const vf m = average(load_n(a.m + i, n), g, a.beta1, a.one_minus_beta1);
  const vf v = average(load_n(a.v + i, n), g * g, a.beta2, a.one_minus_beta2);
  vf change = splat(a.lr_m) * m / fma(splat(a.scale_v), square_root(v), splat(a.eps));
  if (a.decoupled) change = fma(splat(a.weight_decay), w, change);
  store_n(a.m + i, m, n);
  store_n(a.v + i, v, n);
  store_n(a.weight + i, w - change, n);
}

void run_adam(const Adam& args, int64_t begin, int64_t end, float*) {
  const Adam a = args;
  const int64_t last = min64(a.n, end * kChunk);
  int64_t i = begin * kChunk;
  for (; i + kLanes <= last; i += kLanes) adam_vector(a, i, kLanes);
  if (i < last) adam_vector(a, i, last - i);
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
  k.sgd = {{{sgd_tasks, nullptr, run_sgd}}};
  k.adam = {{{adam_tasks, nullptr, run_adam}}};
  k.sum_squares = {{{sum_squares_tasks, nullptr, run_sum_squares_partial}, {one_task, nullptr, run_sum_squares}},
                   workspace,
                   &SumSquares::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

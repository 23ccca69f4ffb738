// crf: the loss of a linear-chain conditional random field (Lafferty et al. 2001), log Z - score of the given tags, and
// its gradients, by the forward-backward recursion. alpha(t, tag) is the sum of exp(score) over all beginnings of
// chains that have that tag at step t, beta that over all ends; alpha beta / Z is how likely the tag is. All sums are
// Wide: no score is too large or small. A task is a run of samples, which add up their gradients of transitions, start
// and end in their order in a copy of its own; copies are added in order.
#include "contract/loss.h"
#include "core/wide.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kGroups = 32;  // copies, at most

int64_t width(int64_t k) { return ceil_div(k, kDoubles) * kDoubles; }
int64_t partial_size(const Crf& g) { return (g.k + 2) * width(g.k); }  // rows of transitions, start, end

// One number for each tag, then zeros up to a multiple of kDoubles: all m, then all e.
struct Row {
  double* p;
  int64_t width;

  Wide get(int64_t i) const { return {load_doubles(p + i), load_doubles(p + width + i)}; }
  void set(int64_t i, Wide value) const {
    store_doubles(p + i, value.m);
    store_doubles(p + width + i, value.e);
  }
  Wide one(int64_t i) const { return {splat_double(p[i]), splat_double(p[width + i])}; }  // in all lanes
};

// What a thread needs for all of its samples, and room for one of them.
struct Chains {
  int64_t k, width;
  double* memory;
  double* shares;  // a row of plain numbers
  vl nan;          // of transitions, start and end

  Row row(int64_t i) const { return {memory + i * 2 * width, width}; }
  Row from(int64_t tag) const { return row(tag); }    // exp(transitions) from that tag
  Row to(int64_t tag) const { return row(k + tag); }  // to that tag
  Row start() const { return row(2 * k); }
  Row end() const { return row(2 * k + 1); }
  Row emission() const { return row(2 * k + 2); }
  Row beta() const { return row(2 * k + 3); }
  Row ahead() const { return row(2 * k + 4); }  // beta with the emission
  Row alpha(int64_t t) const { return row(2 * k + 5 + t); }
};

int64_t scratch_floats(const CrfLoss& a) {
  const int64_t rows = 2 * a.g.k + 5 + (a.d_emissions ? a.g.t : 2);
  return 2 * width(a.g.k) * (2 * rows + 1);
}

// exp(x) of k floats. Says where there is NaN.
vl exp_row(const float* x, int64_t k, Row to) {
  vl nan = {};
  for (int64_t i = 0; i < to.width; i += kDoubles) {
    float part[kDoubles];
    for (int64_t j = 0; j < kDoubles; ++j) part[j] = i + j < k ? x[i + j] : -__builtin_inff();
    const vd v = load_as_doubles(part);
    nan |= v != v;
    to.set(i, wide_exp(v));
  }
  return nan;
}

Chains chains(const CrfLoss& a, float* scratch) {
  const Crf& g = a.g;
  Chains c{g.k, width(g.k), reinterpret_cast<double*>(scratch), nullptr, {}};
  c.shares = c.memory + scratch_floats(a) / 2 - c.width;
  c.nan = exp_row(g.start, g.k, c.start()) | exp_row(g.end, g.k, c.end());
  for (int64_t i = 0; i < g.k; ++i) {
    c.nan |= exp_row(g.transitions + i * g.k, g.k, c.from(i));
    for (int64_t j = 0; j < c.width; j += kDoubles) c.to(i).set(j, zero());
  }
  for (int64_t i = 0; i < g.k; ++i)
    for (int64_t j = 0; j < g.k; ++j) {
      c.to(j).p[i] = c.from(i).p[j];
      c.to(j).p[c.width + i] = c.from(i).p[c.width + j];
    }
  return c;
}

// out[j] = sum over i of in[i] times row i of a matrix [j].
void multiply(int64_t k, Row in, Row matrix, Row out) {
  const int64_t step = 2 * matrix.width;
  for (int64_t j = 0; j < out.width; j += kDoubles) {
    const double *m = matrix.p + j, *e = m + matrix.width;
    vd largest = splat_double(in.p[in.width]) + load_doubles(e);
    for (int64_t i = 1; i < k; ++i)
      largest = max(largest, splat_double(in.p[in.width + i]) + load_doubles(e + i * step));
    vd total = {};
    for (int64_t i = 0; i < k; ++i) {
      const vd exponent = splat_double(in.p[in.width + i]) + load_doubles(e + i * step);
      total = fma(splat_double(in.p[i]) * load_doubles(m + i * step), pow2(exponent - largest), total);
    }
    out.set(j, normalised({total, largest}));
  }
}

void multiply(Row a, Row b, Row out) {
  for (int64_t i = 0; i < out.width; i += kDoubles) out.set(i, normalised(product(a.get(i), b.get(i))));
}

// Z. Leaves alpha of step t in alpha(t), or, where not `keep`, in the first two rows by turns.
Wide forward(const Chains& c, const float* x, int64_t step, int64_t length, bool keep, vl& nan) {
  nan |= exp_row(x, c.k, c.emission());
  multiply(c.start(), c.emission(), c.alpha(0));
  for (int64_t t = 1; t < length; ++t) {
    const Row to = c.alpha(keep ? t : t & 1);
    nan |= exp_row(x + t * step, c.k, c.emission());
    multiply(c.k, c.alpha(keep ? t - 1 : (t - 1) & 1), c.from(0), to);
    multiply(to, c.emission(), to);
  }
  const Row last = c.alpha(keep ? length - 1 : (length - 1) & 1);
  Wide total = zero();
  for (int64_t i = 0; i < c.k; ++i) total = normalised(sum(total, product(last.one(i), c.end().one(i))));
  return total;
}

double score(const CrfLoss& a, int64_t n) {
  const Crf& g = a.g;
  const int64_t length = g.lengths[n];
  double total = g.start[a.tags[n]];
  for (int64_t t = 0; t < length; ++t) {
    const int64_t tag = a.tags[t * g.n + n];
    total += g.emissions[(t * g.n + n) * g.k + tag];
    total += t + 1 < length ? g.transitions[tag * g.k + a.tags[(t + 1) * g.n + n]] : g.end[tag];
  }
  return total;
}

// Adds how likely each pair of tags is, times scale, at the steps of alpha and of ahead.
void add_pairs(const Chains& c, Row alpha, Row ahead, Wide scale, double* sums) {
  for (int64_t i = 0; i < c.k; ++i) {
    const Wide from = product(alpha.one(i), scale);
    for (int64_t j = 0; j < c.width; j += kDoubles) {
      double* s = sums + i * c.width + j;
      store_doubles(s, load_doubles(s) + plain(product(product(from, c.from(i).get(j)), ahead.get(j))));
    }
  }
}

void add(double* sums, const double* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sums[i] += x[i];
}

// All gradients of one sample; those that samples share are added to `sums`.
void backward(const Chains& c, const CrfLoss& a, int64_t n, Wide total, double* sums) {
  const Crf& g = a.g;
  const double weight = a.weights[n];
  const Wide scale{splat_double(weight) / total.m, -total.e};
  for (int64_t i = 0; i < c.width; i += kDoubles) c.beta().set(i, c.end().get(i));
  for (int64_t t = g.lengths[n] - 1; t >= 0; --t) {
    const int64_t tag = a.tags[t * g.n + n], at = (t * g.n + n) * g.k;
    for (int64_t i = 0; i < c.width; i += kDoubles)
      store_doubles(c.shares + i, plain(product(product(c.alpha(t).get(i), c.beta().get(i)), scale)));
    c.shares[tag] -= weight;
    for (int64_t i = 0; i < c.k; ++i) a.d_emissions[at + i] = (float)c.shares[i];
    if (t == g.lengths[n] - 1) add(sums + (c.k + 1) * c.width, c.shares, c.width);
    if (t == 0) {
      add(sums + c.k * c.width, c.shares, c.width);
      return;
    }
    exp_row(g.emissions + at, c.k, c.emission());
    multiply(c.beta(), c.emission(), c.ahead());
    multiply(c.k, c.ahead(), c.to(0), c.beta());
    if (!a.d_transitions) continue;
    add_pairs(c, c.alpha(t - 1), c.ahead(), scale, sums);
    sums[a.tags[(t - 1) * g.n + n] * c.width + tag] -= weight;
  }
}

void fill_rows(const CrfLoss& a, int64_t n, int64_t first, int64_t last, float value) {
  for (int64_t t = first; t < last; ++t)
    for (int64_t i = 0; i < a.g.k; ++i) a.d_emissions[(t * a.g.n + n) * a.g.k + i] = value;
}

void sample(const Chains& c, const CrfLoss& a, int64_t n, double* sums) {
  const Crf& g = a.g;
  vl nan = c.nan;
  const Wide total = forward(c, g.emissions + n * g.k, g.n * g.k, g.lengths[n], a.d_emissions, nan);
  // No chain is possible, or something is NaN: then so is all.
  const bool lost = any(nan) || is_zero(total.e[0]);
  a.losses[n] = lost ? __builtin_nanf("") : (float)(wide_log(total.m[0], total.e[0]) - score(a, n));
  if (!a.d_emissions) return;
  fill_rows(a, n, g.lengths[n], g.t, 0);
  if (!lost) return backward(c, a, n, total, sums);
  fill_rows(a, n, 0, g.lengths[n], __builtin_nanf(""));
  for (int64_t i = 0; i < partial_size(g); ++i) sums[i] = __builtin_nan("");
}

int64_t groups(const Crf& g) { return min64(g.n, kGroups); }
double* partials(const CrfLoss& a) { return reinterpret_cast<double*>(a.workspace); }
int64_t workspace(const CrfLoss& a) { return a.d_emissions ? 2 * groups(a.g) * partial_size(a.g) : 0; }
int64_t tasks(const CrfLoss& a) { return groups(a.g); }

void run(const CrfLoss& a, int64_t begin, int64_t end, float* scratch) {
  const Chains c = chains(a, scratch);
  const int64_t count = groups(a.g), size = partial_size(a.g);
  for (int64_t task = begin; task < end; ++task) {
    double* sums = a.d_emissions ? partials(a) + task * size : nullptr;
    for (int64_t i = 0; a.d_emissions && i < size; ++i) sums[i] = 0;
    for (int64_t n = a.g.n * task / count; n < a.g.n * (task + 1) / count; ++n) sample(c, a, n, sums);
  }
}

int64_t gradient_tasks(const CrfLoss& a) { return a.d_emissions ? a.g.k + 2 : 0; }

void run_gradient(const CrfLoss& a, int64_t begin, int64_t end, float*) {
  const int64_t k = a.g.k, size = partial_size(a.g);
  for (int64_t r = a.d_transitions ? begin : max64(begin, k); r < end; ++r) {
    float* to = r < k ? a.d_transitions + r * k : a.d_bounds + (r - k) * k;
    for (int64_t i = 0; i < k; ++i) {
      double total = 0;
      for (int64_t task = 0; task < groups(a.g); ++task) total += partials(a)[task * size + r * width(k) + i];
      to[i] = (float)total;
    }
  }
}

}  // namespace

void add_crf(LossKernels& k) {
  k.crf_loss = {
      {{tasks, scratch_floats, run}, {gradient_tasks, nullptr, run_gradient}}, workspace, &CrfLoss::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

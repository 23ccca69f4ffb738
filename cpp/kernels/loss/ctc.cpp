// ctc: the loss -log P(labels | x) of connectionist temporal classification (Graves et al. 2006) and its gradient.
// Between, before and after the labels of a sample may be blanks: states are blank 0, label 0, blank 1, ..., label s -
// 1, blank s. alpha(t, state) is the probability of all beginnings of alignments that are in that state at frame t,
// beta that of all ends; alpha beta / P is how likely an alignment is in the state, and minus the sum of it over the
// states of a class is the derivative of the loss. One task is one sample; all sums are Wide, so nothing underflows.
#include "contract/loss.h"
#include "core/wide.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Doubles of an array of s + 1 states, with one vector of zeros before and one after.
int64_t width(int64_t s) { return (ceil_div(s + 1, kDoubles) + 2) * kDoubles; }

// Blanks 0 .. s and labels 0 .. s - 1, each as m and e; index -kDoubles is the first.
struct Row {
  double* p;
  int64_t width;

  Wide get(int64_t array, int64_t i) const {
    const double* q = p + 2 * array * width + kDoubles + i;
    return {load_doubles(q), load_doubles(q + width)};
  }
  void set(int64_t array, int64_t i, Wide value) const {
    double* q = p + 2 * array * width + kDoubles + i;
    store_doubles(q, value.m);
    store_doubles(q + width, value.e);
  }
  Wide blank(int64_t i) const { return get(0, i); }
  Wide label(int64_t i) const { return get(1, i); }
  void set_blank(int64_t i, Wide value) const { set(0, i, value); }
  void set_label(int64_t i, Wide value) const { set(1, i, value); }
  // One state, in all lanes.
  Wide one(int64_t array, int64_t i) const {
    const double* q = p + 2 * array * width + kDoubles + i;
    return {splat_double(q[0]), splat_double(q[width])};
  }
  void set_one(int64_t array, int64_t i) const { p[(2 * array + 1) * width + kDoubles + i] = 0; }
  void clear() const {
    for (int64_t i = -kDoubles; i < width - kDoubles; i += kDoubles) set_blank(i, zero()), set_label(i, zero());
  }
};

// Floats: skip, m, e and the rows in doubles, then the logarithms and the shares of a frame.
int64_t scratch_floats(const Ctc& ctc) {
  const int64_t rows = ctc.dx ? ctc.t + 2 : 2;
  return width(ctc.s) * (2 * (3 + 4 * rows) + 2);
}

struct Sample {
  const float* x;  // its frames, step floats apart
  int64_t step, frames, blank, s, width;
  const int64_t* labels;
  double* skip;     // exponent of the step from label i - 1 to label i: 0, or that of zero where they are equal
  double *m, *e;    // of the probabilities of the labels in one frame
  float* gathered;  // their logarithms
  double* rows;
  vl nan;

  Row row(int64_t i) const { return {rows + i * 4 * width, width}; }
};

// Probabilities of the labels of frame t into m and e; that of the blank is returned.
Wide emit(Sample& a, int64_t t) {
  const float* x = a.x + t * a.step;
  for (int64_t i = 0; i < a.s; ++i) a.gathered[i] = x[a.labels[i]];
  const vd blank = splat_double(x[a.blank]);
  a.nan |= blank != blank;
  for (int64_t i = 0; i <= a.s; i += kDoubles) {
    const vd v = load_as_doubles(a.gathered + i);
    a.nan |= v != v;
    const Wide p = wide_exp(v);
    store_doubles(a.m + i, p.m);
    store_doubles(a.e + i, p.e);
  }
  return wide_exp(blank);
}

// The sum of three, the last times 2^skip.
Wide sum_skip(Wide a, Wide b, Wide c, vd skip) {
  c.e += skip;
  const vd e = max(max(a.e, b.e), c.e);
  return {fma(a.m, pow2(a.e - e), fma(b.m, pow2(b.e - e), c.m * pow2(c.e - e))), e};
}

void forward_step(const Sample& a, Wide blank, Row from, Row to) {
  to.set_label(-kDoubles, zero());
  for (int64_t i = 0; i <= a.s; i += kDoubles) {
    const Wide b = from.blank(i), l = from.label(i), before = from.label(i - 1);
    const Wide p{load_doubles(a.m + i), load_doubles(a.e + i)};
    to.set_blank(i, normalised(product(sum(b, before), blank)));
    to.set_label(i, normalised(product(sum_skip(l, b, before, load_doubles(a.skip + i)), p)));
  }
}

// log P. Leaves alpha of frame t in row t + 1, or, where not `keep`, in the rows 0 and 1 by turns. Before the first
// frame all is at blank 0.
Wide forward(Sample& a, bool keep) {
  a.row(0).clear();
  a.row(0).set_one(0, 0);
  for (int64_t t = 0; t < a.frames; ++t) {
    const Wide blank = emit(a, t);
    forward_step(a, blank, a.row(keep ? t : t & 1), a.row(keep ? t + 1 : (t + 1) & 1));
  }
  const Row last = a.row(keep ? a.frames : a.frames & 1);
  return sum(last.one(0, a.s), last.one(1, a.s - 1));
}

// Takes beta, which includes the probabilities of the frame it is at, from frame t + 1 to t, in place: no state needs
// one that comes before it. Shares of the labels times `scale` go to `share`, that of the blanks is returned.
double backward_step(const Sample& a, Wide blank, Row alpha, Row beta, Wide scale, float* share) {
  vd of_blank = {};
  for (int64_t i = 0; i <= a.s; i += kDoubles) {
    const Wide b = beta.blank(i), l = beta.label(i), next_blank = beta.blank(i + 1), next = beta.label(i + 1);
    const Wide p{load_doubles(a.m + i), load_doubles(a.e + i)};
    const Wide to_blank = sum(b, l), to_label = sum_skip(l, next_blank, next, load_doubles(a.skip + i + 1));
    const Wide at_blank = product(product(alpha.blank(i), to_blank), scale);
    const Wide at_label = product(product(alpha.label(i), to_label), scale);
    of_blank += plain(at_blank);
    store_as_floats(share + i, plain(at_label));
    beta.set_blank(i, normalised(product(to_blank, blank)));
    beta.set_label(i, normalised(product(to_label, p)));
  }
  return sum(of_blank);
}

void fill(float* p, int64_t n, float value) {
  for (int64_t i = 0; i < n; ++i) p[i] = value;
}

void backward(Sample& a, const Ctc& ctc, float* dx, Wide total, float weight, float* share) {
  const Row beta = a.row(a.frames + 1);
  beta.clear();
  beta.set_one(0, a.s);
  const Wide scale{splat_double(weight) / total.m, -total.e};
  for (int64_t t = a.frames - 1; t >= 0; --t) {
    const Wide blank = emit(a, t);
    const double of_blank = backward_step(a, blank, a.row(t + 1), beta, scale, share);
    float* row = dx + t * a.step;
    fill(row, ctc.c, 0);
    row[a.blank] = (float)-of_blank;
    for (int64_t i = 0; i < a.s; ++i) row[a.labels[i]] -= share[i];
  }
}

Sample sample(const Ctc& ctc, int64_t n, float* scratch) {
  Sample a{};
  a.x = ctc.x + n * ctc.c;
  a.step = ctc.n * ctc.c;
  a.frames = ctc.frames[n], a.blank = ctc.blank, a.s = ctc.lengths[n], a.width = width(a.s);
  a.labels = ctc.labels + ctc.starts[n];
  a.skip = reinterpret_cast<double*>(scratch);
  a.m = a.skip + a.width, a.e = a.m + a.width, a.rows = a.e + a.width;
  a.gathered = scratch + scratch_floats(ctc) - 2 * width(ctc.s);
  for (int64_t i = 0; i < a.width; ++i) {
    const bool may = i > 0 && i < a.s && a.labels[i] != a.labels[i - 1];
    a.skip[i] = may ? 0 : kZeroExponent;
    a.gathered[i] = -__builtin_inff();
  }
  return a;
}

void run(const Ctc& ctc, int64_t begin, int64_t end, float* scratch) {
  for (int64_t n = begin; n < end; ++n) {
    Sample a = sample(ctc, n, scratch);
    const Wide total = forward(a, ctc.dx);
    double loss = -wide_log(total.m[0], total.e[0]);
    const bool impossible = is_zero(total.e[0]), nan = any(a.nan);
    if (impossible) loss = ctc.zero_infinity ? 0 : __builtin_inf();
    if (nan) loss = __builtin_nan("");
    ctc.losses[n] = (float)loss;
    if (!ctc.dx) continue;
    float* dx = ctc.dx + n * ctc.c;
    if (!nan && !impossible)
      backward(a, ctc, dx, total, ctc.weights[n], a.gathered + width(ctc.s));
    else
      for (int64_t t = 0; t < a.frames; ++t)
        fill(dx + t * a.step, ctc.c, nan || !ctc.zero_infinity ? __builtin_nanf("") : 0);
    for (int64_t t = a.frames; t < ctc.t; ++t) fill(dx + t * a.step, ctc.c, 0);
  }
}

int64_t tasks(const Ctc& ctc) { return ctc.n; }

}  // namespace

void add_ctc(LossKernels& k) { k.ctc = {{{tasks, scratch_floats, run}}}; }

}  // namespace FASTNN_ISA
}  // namespace fastnn

// cross_entropy: the loss -sum of q log(softmax(x)) of each row of x (rows, columns) and its gradient
// softmax(x) sum(q) - q in one sweep, with q as in contract/loss.h. The losses of a task are added up in float64 in the
// order of the rows, then the tasks in order.
#include "contract/loss.h"
#include "core/row.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// Losses are finished a vector of rows at a time: loss = weight log(sum) - dot.
struct Block {
  float sum[kLanes], weight[kLanes], dot[kLanes];
};

// Class t of a row with weight w: loss w (log(sum) - (x[t] - max)), gradient softmax(x) w - w onehot(t).
void index_row(const CrossEntropy& a, int64_t r, int64_t t, Block& block, int64_t slot) {
  const int64_t n = a.columns;
  const float* x = a.x + r * n;
  const float w = a.weight ? a.weight[t] : 1.0f;
  const float step = (float)(w * a.scale);
  float top, total;
  if (n <= kLanes) {
    const vf v = load_n(x, n, -kInfinity);
    top = max(v);
    const vf e = exp(v - splat(top));
    total = sum(e);
    if (a.dx) {
      vi lanes = {};
      for (int64_t i = 0; i < kLanes; ++i) lanes[i] = (int32_t)i;
      const vf chosen = lanes == (int32_t)t ? splat(step) : vf{};
      store_n(a.dx + r * n, fma(e, splat(step / total), -chosen), n);
    }
  } else {
    float* dx = a.dx ? a.dx + r * n : nullptr;
    top = row_max(x, n);
    total = (float)exp_sum(x, n, top, dx);
    if (dx) {
      const vf factor = splat(step / total);
      for (int64_t i = 0; i < n; i += kLanes) store_n(dx + i, load_n(dx + i, n - i) * factor, n - i);
      dx[t] -= step;
    }
  }
  block.sum[slot] = total;
  block.weight[slot] = w;
  block.dot[slot] = w * (x[t] - top);
}

// Any q: its sum Q and its dot product with x - max give loss Q log(sum) - dot, gradient softmax(x) Q - q. Lanes beyond
// the row have q = 0.
struct Mixture {
  const float *weight, *probabilities;  // null: ones, zeros
  vf even, keep;                        // smoothing / columns, 1 - smoothing

  vf at(int64_t i, int64_t left) const {
    const vf w = weight ? load_n(weight + i, left) : splat(1.0f);
    const vf p = probabilities ? fma(keep, load_n(probabilities + i, left), even) : even;
    return w * p;
  }
};

vf first_lanes(vf v, int64_t n) {
  for (int64_t i = max64(0, n); i < kLanes; ++i) v[i] = 0;
  return v;
}

void mixture_row(const CrossEntropy& a, int64_t r, int64_t t, Block& block, int64_t slot) {
  const int64_t n = a.columns;
  const float* x = a.x + r * n;
  float* dx = a.dx ? a.dx + r * n : nullptr;
  const Mixture q{a.weight, a.probabilities ? a.probabilities + r * n : nullptr, splat(a.smoothing / (float)n),
                  splat(1.0f - a.smoothing)};
  const float top = row_max(x, n);
  const float total = (float)exp_sum(x, n, top, dx);
  double q_sum = 0, dot = 0;
  for (int64_t i = 0; i < n;) {
    const int64_t last = min64(n, i + kSegment);
    vf s = {}, d = {};
    for (; i < last; i += kLanes) {
      vf value = q.at(i, last - i);
      if (last - i < kLanes) value = first_lanes(value, last - i);
      s += value;
      d = fma(value, load_n(x + i, last - i, top) - splat(top), d);
    }
    i = last;
    q_sum += sum(s);
    dot += sum(d);
  }
  const float chosen = a.probabilities ? 0.0f : (1.0f - a.smoothing) * (a.weight ? a.weight[t] : 1.0f);
  if (!a.probabilities) {
    q_sum += chosen;
    dot += chosen * (x[t] - top);
  }
  if (dx) {
    const vf factor = splat((float)(q_sum * a.scale / total)), scale = splat((float)a.scale);
    for (int64_t i = 0; i < n; i += kLanes)
      store_n(dx + i, fma(load_n(dx + i, n - i), factor, -(q.at(i, n - i) * scale)), n - i);
    if (!a.probabilities) dx[t] -= (float)(chosen * a.scale);
  }
  block.sum[slot] = total;
  block.weight[slot] = (float)q_sum;
  block.dot[slot] = (float)dot;
}

void ignored_row(const CrossEntropy& a, int64_t r, Block& block, int64_t slot) {
  if (a.dx)
    for (int64_t i = 0; i < a.columns; ++i) a.dx[r * a.columns + i] = 0;
  block.sum[slot] = 1;
  block.weight[slot] = 0;
  block.dot[slot] = 0;
}

double run_rows(const CrossEntropy& a, int64_t first, int64_t last) {
  const bool mixture = a.probabilities || a.smoothing != 0;
  double total = 0;
  for (int64_t r = first; r < last; r += kLanes) {
    const int64_t n = min64(kLanes, last - r);
    Block block = {};
    for (int64_t i = 0; i < n; ++i) {
      const int64_t t = a.probabilities ? 0 : a.target[r + i];
      if (t < 0 || t >= a.columns || (a.target && t == a.ignore_index))
        ignored_row(a, r + i, block, i);
      else if (mixture)
        mixture_row(a, r + i, t, block, i);
      else
        index_row(a, r + i, t, block, i);
    }
    float losses[kLanes];
    store(losses, load(block.weight) * log(load(block.sum)) - load(block.dot));
    for (int64_t i = 0; i < n; ++i) total += losses[i];
    if (a.losses) store_n(a.losses + r, load(losses), n);
  }
  return total;
}

int64_t tasks(const CrossEntropy& a) { return ceil_div(a.rows, rows_per_task(a.columns)); }
double* partials(const CrossEntropy& a) { return reinterpret_cast<double*>(a.workspace); }  // one per task
int64_t workspace(const CrossEntropy& a) { return 2 * tasks(a); }

void run_partial(const CrossEntropy& a, int64_t begin, int64_t end, float*) {
  const int64_t step = rows_per_task(a.columns);
  for (int64_t task = begin; task < end; ++task)
    partials(a)[task] = run_rows(a, task * step, min64(a.rows, (task + 1) * step));
}

int64_t one_task(const CrossEntropy&) { return 1; }

void run_total(const CrossEntropy& a, int64_t, int64_t, float*) {
  double total = 0;
  for (int64_t task = 0; task < tasks(a); ++task) total += partials(a)[task];
  *a.total = (float)(a.scale * total);
}

}  // namespace

void add_cross_entropy(LossKernels& k) {
  k.cross_entropy = {
      {{tasks, nullptr, run_partial}, {one_task, nullptr, run_total}}, workspace, &CrossEntropy::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

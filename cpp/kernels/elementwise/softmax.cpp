// softmax: y = exp(x) / sum of exp(x) over each row of x (rows, columns), or its logarithm. The largest element is
// taken off first, so no exponential overflows; sums are float64 beyond segments of a row.
#include "contract/elementwise.h"
#include "core/row.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// A row that fits in one vector never leaves the register.
void short_row(const float* x, float* y, int64_t n, bool logarithm) {
  const vf v = load_n(x, n, -kInfinity);
  const vf shifted = v - splat(max(v));
  const vf e = exp(shifted);
  const vf total = splat(sum(e));
  store_n(y, logarithm ? shifted - log(total) : e / total, n);
}

void softmax_row(const float* x, float* y, int64_t n) {
  const vf factor = splat((float)(1.0 / exp_sum(x, n, row_max(x, n), y)));
  for (int64_t i = 0; i < n; i += kLanes) store_n(y + i, load_n(y + i, n - i) * factor, n - i);
}

void log_softmax_row(const float* x, float* y, int64_t n) {
  const vf shift = splat(row_max(x, n));
  const vf log_sum = log(splat((float)exp_sum(x, n, shift[0], nullptr)));
  for (int64_t i = 0; i < n; i += kLanes) store_n(y + i, load_n(x + i, n - i) - shift - log_sum, n - i);
}

void run_forward(const Softmax& s, int64_t begin, int64_t end, float*) {
  const int64_t n = s.columns, last = min64(s.rows, end * rows_per_task(n));
  for (int64_t r = begin * rows_per_task(n); r < last; ++r) {
    const float* x = s.x + r * n;
    float* y = s.y + r * n;
    if (n <= kLanes)
      short_row(x, y, n, s.log);
    else if (s.log)
      log_softmax_row(x, y, n);
    else
      softmax_row(x, y, n);
  }
}

// Sum of dy y, or of dy alone where y is null.
double dot(const float* dy, const float* y, int64_t n) {
  double total = 0;
  for (int64_t i = 0; i < n;) {
    const int64_t last = min64(n, i + kSegment);
    vf a = {};
    for (; i < last; i += kLanes) {
      const vf d = load_n(dy + i, last - i);
      a = y ? fma(d, load_n(y + i, last - i), a) : a + d;
    }
    i = last;
    total += sum(a);
  }
  return total;
}

void run_backward(const SoftmaxBackward& s, int64_t begin, int64_t end, float*) {
  const int64_t n = s.columns, last = min64(s.rows, end * rows_per_task(n));
  for (int64_t r = begin * rows_per_task(n); r < last; ++r) {
    const float *y = s.y + r * n, *dy = s.dy + r * n;
    float* dx = s.dx + r * n;
    const vf total = splat((float)dot(dy, s.log ? nullptr : y, n));
    for (int64_t i = 0; i < n; i += kLanes) {
      const vf v = load_n(y + i, n - i), d = load_n(dy + i, n - i);
      store_n(dx + i, s.log ? fma(-exp(v), total, d) : v * (d - total), n - i);
    }
  }
}

int64_t forward_tasks(const Softmax& s) { return s.columns ? ceil_div(s.rows, rows_per_task(s.columns)) : 0; }
int64_t backward_tasks(const SoftmaxBackward& s) { return s.columns ? ceil_div(s.rows, rows_per_task(s.columns)) : 0; }

}  // namespace

void add_softmax(ElementwiseKernels& k) {
  k.softmax_forward = {{{forward_tasks, nullptr, run_forward}}};
  k.softmax_backward = {{{backward_tasks, nullptr, run_backward}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

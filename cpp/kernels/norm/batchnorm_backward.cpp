// batchnorm_backward: the gradients of x (rows, c), weight (c) and bias (c). Sums of every chunk, then these in double
// in the order of the chunks, then dx.
#include "batchnorm.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

bool needs_sums(const BatchNormBackward& b) { return b.dw || b.db || !b.fixed; }
int64_t workspace(const BatchNormBackward& b) { return needs_sums(b) ? 2 * b.c * (chunks(b.rows, b.c) + 1) : 0; }
// Sums over all rows of dy, and of dy * (x - mean) * rstd, c each; then those of the chunks.
float* sums_of(const BatchNormBackward& b) { return b.workspace; }
float* partials_of(const BatchNormBackward& b) { return b.workspace + 2 * b.c; }

int64_t partial_tasks(const BatchNormBackward& b) { return needs_sums(b) ? chunks(b.rows, b.c) : 0; }
int64_t backward_partial_scratch(const BatchNormBackward& b) { return 6 * wide(b.c); }

// dy, or what of it comes back through the relu
template <bool relu>
[[gnu::always_inline]] inline vf gradient(const vf* k, vf dy, vf deviation) {
  if (!relu) return dy;
  return normal(k, deviation) <= vf{} ? vf{} : dy;
}

// Of a chunk: sums over its rows of dy and of dy * (x - mean), c floats each.
template <bool relu>
void partial_sums(const BatchNormBackward& b, int64_t begin, int64_t end, float* scratch) {
  const int64_t c = b.c;
  const Channels per = channels(b.statistics, b.weight, b.bias, c, scratch);
  for (int64_t k = begin; k < end; ++k) {
    const int64_t first = k * chunk_rows(c), rows = min64(chunk_rows(c), b.rows - first);
    const float *x = b.x + first * c, *dy = b.dy + first * c;
    add_rows<2, 4>(
        rows, c, scratch + 4 * wide(c), partials_of(b) + k * 2 * c,
        [&](int64_t j, int64_t n, vf* of) __attribute__((always_inline)) { per.load(j, n, of); },
        [&](const vf* of, int64_t i, int64_t n, vf* terms) __attribute__((always_inline)) {
          const vf d = deviation(of, load_n(x + i, n));
          terms[0] = gradient<relu>(of, load_n(dy + i, n), d);
          terms[1] = terms[0] * d;
        });
  }
}

void backward_partial(const BatchNormBackward& b, int64_t begin, int64_t end, float* scratch) {
  (b.relu ? partial_sums<true> : partial_sums<false>)(b, begin, end, scratch);
}

int64_t backward_sums_tasks(const BatchNormBackward& b) { return needs_sums(b) ? ceil_div(b.c, kBlock) : 0; }

void backward_sums(const BatchNormBackward& b, int64_t begin, int64_t end, float*) {
  const int64_t c = b.c, count = chunks(b.rows, c);
  for (int64_t block = begin; block < end; ++block) {
    const int64_t first = block * kBlock, n = min64(kBlock, c - first);
    double sum[kBlock] = {}, product[kBlock] = {};
    for (int64_t k = 0; k < count; ++k) {
      const float* p = partials_of(b) + k * 2 * c + first;
      for (int64_t j = 0; j < n; ++j) sum[j] += p[j], product[j] += p[c + j];
    }
    for (int64_t j = 0; j < n; ++j) {
      const int64_t i = first + j;
      sums_of(b)[i] = (float)sum[j];
      sums_of(b)[c + i] = (float)(product[j] * b.statistics[2 * c + i]);
      if (b.db) b.db[i] = sums_of(b)[i];
      if (b.dw) b.dw[i] = sums_of(b)[c + i];
    }
  }
}

int64_t backward_tasks(const BatchNormBackward& b) { return b.dx ? chunks(b.rows, b.c) : 0; }
int64_t backward_scratch(const BatchNormBackward& b) { return 6 * wide(b.c); }

// dx = weight rstd (dy - mean of dy - (x - mean) rstd * mean of (dy (x - mean) rstd)) = a dy + b (x - mean) + c.
template <bool relu, bool fixed>
void pull(const BatchNormBackward& b, int64_t begin, int64_t end, float* scratch) {
  const int64_t c = b.c, width = wide(c);
  const Channels per = channels(b.statistics, b.weight, b.bias, c, scratch);
  float *by_x = scratch + 4 * width, *constant = scratch + 5 * width;
  for (int64_t f = 0; !fixed && f < fold(c); ++f) {
    for (int64_t j = 0; j < c; ++j) {
      const float by_dy = per.scale[j];
      by_x[f * c + j] = -by_dy * b.statistics[2 * c + j] * (sums_of(b)[c + j] / (float)b.rows);
      constant[f * c + j] = -by_dy * (sums_of(b)[j] / (float)b.rows);
    }
  }
  each_chunk<6>(
      begin, end, b.rows, c, b.dx,
      [&](int64_t j, int64_t n, vf* k) __attribute__((always_inline)) {
        per.load(j, n, k);
        k[4] = load_n(by_x + j, n), k[5] = load_n(constant + j, n);
      },
      [&](const vf* k, int64_t i, int64_t n) __attribute__((always_inline)) {
        vf d = {};
        if (relu || !fixed) d = deviation(k, load_n(b.x + i, n));
        const vf dy = gradient<relu>(k, load_n(b.dy + i, n), d);
        return fixed ? dy * k[2] : fma(dy, k[2], fma(d, k[4], k[5]));
      });
}

void backward(const BatchNormBackward& b, int64_t begin, int64_t end, float* scratch) {
  const auto with_relu = b.fixed ? pull<true, true> : pull<true, false>;
  const auto plain = b.fixed ? pull<false, true> : pull<false, false>;
  (b.relu ? with_relu : plain)(b, begin, end, scratch);
}

}  // namespace

void add_batchnorm_backward(NormKernels& k) {
  k.batchnorm_backward = {{{partial_tasks, backward_partial_scratch, backward_partial},
                           {backward_sums_tasks, nullptr, backward_sums},
                           {backward_tasks, backward_scratch, backward}},
                          workspace,
                          &BatchNormBackward::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

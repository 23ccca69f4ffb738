// batchnorm: y (rows, c) = (x - mean) / sqrt(variance + eps) * weight + bias, statistics over the rows. Each chunk
// finds its own mean and squared deviations from it in two passes over cache, around its first row; the chunks are then
// pooled in double (Chan, Golub and LeVeque 1983), in their order. No step subtracts large near-equal sums, so a mean
// of 1e4 standard deviations costs no digits.
#include "batchnorm.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

int64_t workspace(const BatchNorm& b) { return b.mean ? 0 : chunks(b.rows, b.c) * 3 * b.c; }
int64_t partial_tasks(const BatchNorm& b) { return b.mean ? 0 : chunks(b.rows, b.c); }
int64_t partial_scratch(const BatchNorm& b) { return 3 * wide(b.c); }

// Of a chunk: its first row, its mean less that, the sum of squared deviations from its mean; c floats each.
void partial(const BatchNorm& b, int64_t begin, int64_t end, float* scratch) {
  const int64_t c = b.c, width = wide(c);
  float *start = scratch, *delta = scratch + width, *sums = scratch + 2 * width;
  for (int64_t k = begin; k < end; ++k) {
    const int64_t first = k * chunk_rows(c), rows = min64(chunk_rows(c), b.rows - first);
    const float* x = b.x + first * c;
    float* out = b.workspace + k * 3 * c;
    __builtin_memcpy(out, x, c * sizeof(float));
    repeat(x, 0.0f, c, start);
    add_rows<1, 1>(
        rows, c, sums, out + c,
        [&](int64_t j, int64_t n, vf* k) __attribute__((always_inline)) { k[0] = load_n(start + j, n); },
        [&](const vf* k, int64_t i, int64_t n, vf* terms)
            __attribute__((always_inline)) { terms[0] = load_n(x + i, n) - k[0]; });
    for (int64_t j = 0; j < c; ++j) out[c + j] /= (float)rows;
    repeat(out + c, 0.0f, c, delta);
    add_rows<1, 2>(
        rows, c, sums, out + 2 * c,
        [&](int64_t j, int64_t n, vf* k)
            __attribute__((always_inline)) { k[0] = load_n(start + j, n), k[1] = load_n(delta + j, n); },
        [&](const vf* k, int64_t i, int64_t n, vf* terms) __attribute__((always_inline)) {
          const vf d = load_n(x + i, n) - k[0] - k[1];
          terms[0] = d * d;
        });
  }
}

int64_t statistics_tasks(const BatchNorm& b) { return ceil_div(b.c, kBlock); }

void pool_block(const BatchNorm& b, int64_t first, int64_t n) {
  const int64_t count = chunks(b.rows, b.c);
  const double all_rows = (double)max64(1, b.rows);
  double mean[kBlock] = {}, squares[kBlock] = {};
  for (int64_t k = 0; k < count; ++k) {
    const float* p = b.workspace + k * 3 * b.c + first;
    const double rows = (double)min64(chunk_rows(b.c), b.rows - k * chunk_rows(b.c));
    for (int64_t j = 0; j < n; ++j) mean[j] += rows * ((double)p[j] + (double)p[b.c + j]);
  }
  for (int64_t j = 0; j < n; ++j) mean[j] /= all_rows;
  for (int64_t k = 0; k < count; ++k) {
    const float* p = b.workspace + k * 3 * b.c + first;
    const double rows = (double)min64(chunk_rows(b.c), b.rows - k * chunk_rows(b.c));
    for (int64_t j = 0; j < n; ++j) {
      const double d = (double)p[j] + (double)p[b.c + j] - mean[j];
      squares[j] += (double)p[2 * b.c + j] + rows * d * d;
    }
  }
  for (int64_t j = 0; j < n; ++j) {
    float* out = b.statistics + first + j;
    const double variance = squares[j] / all_rows;
    out[0] = (float)mean[j];
    out[b.c] = (float)(mean[j] - (double)out[0]);
    out[2 * b.c] = (float)(1.0 / __builtin_sqrt(variance + b.eps));
    out[3 * b.c] = (float)variance;
  }
}

void given_block(const BatchNorm& b, int64_t first, int64_t n) {
  for (int64_t j = first; j < first + n; ++j) {
    b.statistics[j] = b.mean[j];
    b.statistics[b.c + j] = 0.0f;
    b.statistics[2 * b.c + j] = (float)(1.0 / __builtin_sqrt((double)b.variance[j] + b.eps));
    b.statistics[3 * b.c + j] = b.variance[j];
  }
}

void find_statistics(const BatchNorm& b, int64_t begin, int64_t end, float*) {
  for (int64_t k = begin; k < end; ++k)
    (b.mean ? given_block : pool_block)(b, k * kBlock, min64(kBlock, b.c - k * kBlock));
}

int64_t forward_tasks(const BatchNorm& b) { return chunks(b.rows, b.c); }

int64_t forward_scratch(const BatchNorm& b) { return 4 * wide(b.c); }

template <bool relu>
void normalise(const BatchNorm& b, int64_t begin, int64_t end, float* scratch) {
  const Channels per = channels(b.statistics, b.weight, b.bias, b.c, scratch);
  each_chunk<4>(
      begin, end, b.rows, b.c, b.y,
      [&](int64_t j, int64_t n, vf* k) __attribute__((always_inline)) { per.load(j, n, k); },
      [&](const vf* k, int64_t i, int64_t n) __attribute__((always_inline)) {
        const vf y = normal(k, deviation(k, load_n(b.x + i, n)));
        if (relu) return y < vf{} ? vf{} : y;  // as activation.cpp has it: NaN and -0 stay
        return y;
      });
}

void forward(const BatchNorm& b, int64_t begin, int64_t end, float* scratch) {
  (b.relu ? normalise<true> : normalise<false>)(b, begin, end, scratch);
}

}  // namespace

void add_batchnorm(NormKernels& k) {
  k.batchnorm_forward = {{{partial_tasks, partial_scratch, partial},
                          {statistics_tasks, nullptr, find_statistics},
                          {forward_tasks, forward_scratch, forward}},
                         workspace,
                         &BatchNorm::workspace};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

// batchnorm: y (rows, c) = (x - mean) / sqrt(variance + eps) * weight + bias, statistics over the rows, and its
// gradients. Rows are cut into chunks by the shape only. Each chunk finds its own mean and squared deviations from it
// in two passes over cache, around its first row; the chunks are then pooled in double (Chan, Golub and LeVeque 1983),
// in their order. No step subtracts large near-equal sums, so a mean of 1e4 standard deviations costs no digits. Where
// c is small, `fold` rows are read as one wide row: full vectors, and short chains of additions.
#include "kernels.h"
#include "past.h"
#include "simd.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kChunkFloats = 1 << 15;  // 128 KB of x: the second pass finds it in L2
constexpr int64_t kMinChunkRows = 16;      // so that what a chunk leaves behind is small beside it
constexpr int64_t kWide = 128;             // floats in a wide row, at least
constexpr int64_t kBlock = 64;             // channels of a task that pools chunks

int64_t fold(int64_t c) { return c == 0 ? 1 : ceil_div(kWide, c); }
int64_t wide(int64_t c) { return fold(c) * c; }
int64_t chunk_rows(int64_t c) { return max64(kMinChunkRows, fold(c) * ceil_div(kChunkFloats, max64(1, wide(c)))); }
int64_t chunks(int64_t rows, int64_t c) { return c == 0 ? 0 : ceil_div(rows, chunk_rows(c)); }
int64_t workspace(int64_t rows, int64_t c) { return chunks(rows, c) * 3 * c; }

// to (wide) = fold copies of from (c), or of `otherwise` where from is null.
void repeat(const float* __restrict from, float otherwise, int64_t c, float* __restrict to) {
  for (int64_t f = 0; f < fold(c); ++f)
    for (int64_t j = 0; j < c; ++j) to[f * c + j] = from ? from[j] : otherwise;
}

// sums (S, wide) += over rows: f gives the S terms of the floats [i, i + n) in columns [j, j + n) of a row.
template <int S, class F>
[[gnu::always_inline]] inline void add_wide_rows(int64_t rows, int64_t columns, int64_t width, float* sums, F f) {
  int64_t r = 0;
  const auto some_rows = [&](int64_t count, int64_t j, int64_t n) __attribute__((always_inline)) {
    vf total[S];
    for (int s = 0; s < S; ++s) total[s] = load_n(sums + s * width + j, n);
    for (int64_t k = 0; k < count; ++k) {
      vf terms[S];
      f((r + k) * width + j, j, n, terms);
      for (int s = 0; s < S; ++s) total[s] += terms[s];
    }
    for (int s = 0; s < S; ++s) store_n(sums + s * width + j, total[s], n);
  };
  while (r < rows) {
    const int64_t count = min64(8, rows - r);
    int64_t j = 0;
    for (; j + kLanes <= columns; j += kLanes) {
      if (count == 8)
        some_rows(8, j, kLanes);
      else
        some_rows(count, j, kLanes);
    }
    if (j < columns) some_rows(count, j, columns - j);
    r += count;
  }
}

// out (S, c) = sums of f over `rows` rows of c floats; `sums` is (S, wide) of scratch.
template <int S, class F>
[[gnu::always_inline]] inline void add_rows(int64_t rows, int64_t c, float* sums, float* out, F f) {
  const int64_t whole = rows / fold(c), left = rows % fold(c), width = wide(c);
  __builtin_memset(sums, 0, S * width * sizeof(float));
  add_wide_rows<S>(whole, width, width, sums, f);
  if (left)
    add_wide_rows<S>(1, left * c, width, sums,
                     [&](int64_t i, int64_t j, int64_t n, vf* terms)
                         __attribute__((always_inline)) { f(whole * width + i, j, n, terms); });
  for (int s = 0; s < S; ++s) {
    for (int64_t j = 0; j < c; ++j) {
      double total = 0;
      for (int64_t k = 0; k < fold(c); ++k) total += sums[s * width + k * c + j];
      out[s * c + j] = (float)total;
    }
  }
}

int64_t partial_tasks(const BatchNorm& b) { return chunks(b.rows, b.c); }
int64_t partial_scratch(const BatchNorm& b) { return 3 * wide(b.c); }

// Of a chunk: its first row, its mean less that, the sum of squared deviations from its mean; c floats each.
void partial(const BatchNorm& b, int64_t begin, int64_t end, float* scratch) {
  const int64_t c = b.c, width = wide(c);
  float *start = scratch, *delta = scratch + width, *sums = scratch + 2 * width;
  for (int64_t k = begin; k < end; ++k) {
    const int64_t first = k * chunk_rows(c), rows = min64(chunk_rows(c), b.rows - first);
    const float* x = b.x + first * c;
    float* out = b.partials + k * 3 * c;
    __builtin_memcpy(out, x, c * sizeof(float));
    repeat(x, 0.0f, c, start);
    add_rows<1>(rows, c, sums, out + c, [&](int64_t i, int64_t j, int64_t n, vf* terms) __attribute__((always_inline)) {
      terms[0] = load_n(x + i, n) - load_n(start + j, n);
    });
    for (int64_t j = 0; j < c; ++j) out[c + j] /= (float)rows;
    repeat(out + c, 0.0f, c, delta);
    add_rows<1>(rows, c, sums, out + 2 * c,
                [&](int64_t i, int64_t j, int64_t n, vf* terms) __attribute__((always_inline)) {
                  const vf d = load_n(x + i, n) - load_n(start + j, n) - load_n(delta + j, n);
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
    const float* p = b.partials + k * 3 * b.c + first;
    const double rows = (double)min64(chunk_rows(b.c), b.rows - k * chunk_rows(b.c));
    for (int64_t j = 0; j < n; ++j) mean[j] += rows * ((double)p[j] + (double)p[b.c + j]);
  }
  for (int64_t j = 0; j < n; ++j) mean[j] /= all_rows;
  for (int64_t k = 0; k < count; ++k) {
    const float* p = b.partials + k * 3 * b.c + first;
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

void pool_statistics(const BatchNorm& b, int64_t begin, int64_t end, float*) {
  for (int64_t k = begin; k < end; ++k) pool_block(b, k * kBlock, min64(kBlock, b.c - k * kBlock));
}

// out = f(i, j, n) over all floats [i, i + n) of rows [first, last), of which j is the first's column in a wide row.
// Four wide rows go together: what f reads of a column is then read once.
template <class F>
[[gnu::always_inline]] inline void each_row(int64_t first, int64_t last, int64_t c, float* out, bool past, F f) {
  constexpr int64_t kTogether = 4;
  const int64_t width = wide(c);
  int64_t i = first * c;
  for (; i + kTogether * width <= last * c; i += kTogether * width) {
    int64_t j = 0;
    const auto column = [&](int64_t n, auto put) __attribute__((always_inline)) {
      vf y[kTogether];
#pragma GCC unroll 4
      for (int64_t r = 0; r < kTogether; ++r) y[r] = f(i + r * width + j, j, n);
#pragma GCC unroll 4
      for (int64_t r = 0; r < kTogether; ++r) put(out + i + r * width + j, y[r]);
    };
    const int64_t n = width % kLanes;
    for (; j + kLanes <= width; j += kLanes) column(kLanes, [&](float* p, vf y) { store(p, y, past); });
    if (n) column(n, [&](float* p, vf y) { store_n(p, y, n); });
  }
  for (; i < last * c; i += width) {
    const int64_t columns = min64(width, last * c - i);
    for (int64_t j = 0; j < columns; j += kLanes) {
      const int64_t n = min64(kLanes, columns - j);
      store_n(out + i + j, f(i + j, j, n), n);
    }
  }
}

// What a pass over the rows needs of each channel, repeated over a wide row: the mean in two floats, weight * rstd,
// bias.
struct Channels {
  const float *high, *low, *scale, *shift;

  [[gnu::always_inline]] vf deviation(vf x, int64_t j, int64_t n) const {
    return x - load_n(high + j, n) - load_n(low + j, n);
  }
  [[gnu::always_inline]] vf normal(vf deviation, int64_t j, int64_t n) const {
    return fma(deviation, load_n(scale + j, n), load_n(shift + j, n));
  }
};

Channels channels(const float* statistics, const float* weight, const float* bias, int64_t c, float* scratch) {
  const int64_t width = wide(c);
  float *high = scratch, *low = scratch + width, *scale = scratch + 2 * width, *shift = scratch + 3 * width;
  repeat(statistics, 0.0f, c, high);
  repeat(statistics + c, 0.0f, c, low);
  repeat(weight, 1.0f, c, scale);
  repeat(bias, 0.0f, c, shift);
  for (int64_t f = 0; f < fold(c); ++f)
    for (int64_t j = 0; j < c; ++j) scale[f * c + j] *= statistics[2 * c + j];
  return {high, low, scale, shift};
}

// each_row over the chunks [begin, end), from the last to the first: the pass before this one has ended there, and has
// left in cache what it read last.
template <class F>
[[gnu::always_inline]] inline void each_chunk(int64_t begin, int64_t end, int64_t rows, int64_t c, float* out, F f) {
  const int64_t step = chunk_rows(c);
  const bool past = wide(c) % kLanes == 0 && step % fold(c) == 0 && goes_past(out, rows * c);
  for (int64_t k = end; k-- > begin;) each_row(k * step, min64((k + 1) * step, rows), c, out, past, f);
  finish_past(past);
}

int64_t forward_scratch(const BatchNorm& b) { return 4 * wide(b.c); }

template <bool relu>
void normalise(const BatchNorm& b, int64_t begin, int64_t end, float* scratch) {
  const Channels per = channels(b.statistics, b.weight, b.bias, b.c, scratch);
  each_chunk(begin, end, b.rows, b.c, b.y, [&](int64_t i, int64_t j, int64_t n) __attribute__((always_inline)) {
    const vf y = per.normal(per.deviation(load_n(b.x + i, n), j, n), j, n);
    if (relu) return y < vf{} ? vf{} : y;  // as activation.cpp has it: NaN and -0 stay
    return y;
  });
}

void forward(const BatchNorm& b, int64_t begin, int64_t end, float* scratch) {
  (b.relu ? normalise<true> : normalise<false>)(b, begin, end, scratch);
}

int64_t backward_tasks(const BatchNormBackward& b) { return chunks(b.rows, b.c); }
int64_t backward_partial_scratch(const BatchNormBackward& b) { return 6 * wide(b.c); }

// dy, or what of it comes back through the relu
template <bool relu>
[[gnu::always_inline]] inline vf gradient(const Channels& per, vf dy, vf deviation, int64_t j, int64_t n) {
  if (!relu) return dy;
  return per.normal(deviation, j, n) <= vf{} ? vf{} : dy;
}

// Of a chunk: sums over its rows of dy and of dy * (x - mean), c floats each.
template <bool relu>
void partial_sums(const BatchNormBackward& b, int64_t begin, int64_t end, float* scratch) {
  const int64_t c = b.c;
  const Channels per = channels(b.statistics, b.weight, b.bias, c, scratch);
  for (int64_t k = begin; k < end; ++k) {
    const int64_t first = k * chunk_rows(c), rows = min64(chunk_rows(c), b.rows - first);
    const float *x = b.x + first * c, *dy = b.dy + first * c;
    add_rows<2>(rows, c, scratch + 4 * wide(c), b.partials + k * 2 * c,
                [&](int64_t i, int64_t j, int64_t n, vf* terms) __attribute__((always_inline)) {
                  const vf d = per.deviation(load_n(x + i, n), j, n);
                  terms[0] = gradient<relu>(per, load_n(dy + i, n), d, j, n);
                  terms[1] = terms[0] * d;
                });
  }
}

void backward_partial(const BatchNormBackward& b, int64_t begin, int64_t end, float* scratch) {
  (b.relu ? partial_sums<true> : partial_sums<false>)(b, begin, end, scratch);
}

int64_t backward_sums_tasks(const BatchNormBackward& b) { return ceil_div(b.c, kBlock); }

void backward_sums(const BatchNormBackward& b, int64_t begin, int64_t end, float*) {
  const int64_t c = b.c, count = chunks(b.rows, c);
  for (int64_t block = begin; block < end; ++block) {
    const int64_t first = block * kBlock, n = min64(kBlock, c - first);
    double sum[kBlock] = {}, product[kBlock] = {};
    for (int64_t k = 0; k < count; ++k) {
      const float* p = b.partials + k * 2 * c + first;
      for (int64_t j = 0; j < n; ++j) sum[j] += p[j], product[j] += p[c + j];
    }
    for (int64_t j = 0; j < n; ++j) {
      b.sums[first + j] = (float)sum[j];
      b.sums[c + first + j] = (float)(product[j] * b.statistics[2 * c + first + j]);
    }
  }
}

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
      by_x[f * c + j] = -by_dy * b.statistics[2 * c + j] * (b.sums[c + j] / (float)b.rows);
      constant[f * c + j] = -by_dy * (b.sums[j] / (float)b.rows);
    }
  }
  each_chunk(begin, end, b.rows, c, b.dx, [&](int64_t i, int64_t j, int64_t n) __attribute__((always_inline)) {
    vf d = {};
    if (relu || !fixed) d = per.deviation(load_n(b.x + i, n), j, n);
    const vf dy = gradient<relu>(per, load_n(b.dy + i, n), d, j, n), by_dy = load_n(per.scale + j, n);
    return fixed ? dy * by_dy : fma(dy, by_dy, fma(d, load_n(by_x + j, n), load_n(constant + j, n)));
  });
}

void backward(const BatchNormBackward& b, int64_t begin, int64_t end, float* scratch) {
  const auto with_relu = b.fixed ? pull<true, true> : pull<true, false>;
  const auto plain = b.fixed ? pull<false, true> : pull<false, false>;
  (b.relu ? with_relu : plain)(b, begin, end, scratch);
}

}  // namespace

void add_batchnorm(Kernels& k) {
  k.batchnorm_workspace = workspace;
  k.batchnorm_partial = {partial_tasks, partial_scratch, partial};
  k.batchnorm_statistics = {statistics_tasks, nullptr, pool_statistics};
  k.batchnorm_forward = {partial_tasks, forward_scratch, forward};
  k.batchnorm_backward_partial = {backward_tasks, backward_partial_scratch, backward_partial};
  k.batchnorm_backward_sums = {backward_sums_tasks, nullptr, backward_sums};
  k.batchnorm_backward = {backward_tasks, backward_scratch, backward};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

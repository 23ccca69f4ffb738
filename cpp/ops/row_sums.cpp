#include "ops/row_sums.h"

namespace fastnn {
namespace {

constexpr int64_t kBlock = 1 << 18;  // elements added pairwise; the sums of blocks are added one after the other

// Sum of x (size): eight running sums up to 128 elements, halves beyond, so that rounding grows with log(size).
double pairwise(const float* x, int64_t size) {
  if (size < 8) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) sum += x[i];
    return sum;
  }
  if (size <= 128) {
    double r[8];
    for (int j = 0; j < 8; ++j) r[j] = x[j];
    int64_t i = 8;
    for (; i + 8 <= size; i += 8)
      for (int j = 0; j < 8; ++j) r[j] += x[i + j];
    double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < size; ++i) sum += x[i];
    return sum;
  }
  const int64_t half = size / 2 / 8 * 8;
  return pairwise(x, half) + pairwise(x + half, size - half);
}

template <class T>
void sums(Steps& steps, double divisor, const Floats& x, const View<T>& y) {
  steps.call([=] {
    const int64_t rows = x.sizes[0], length = x.sizes[1];
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (int64_t i = 0; i < length; i += kBlock)
        sum += pairwise(x.data + r * length + i, std::min(kBlock, length - i));
      y.data[r] = static_cast<T>(sum / divisor);
    }
  });
}

}  // namespace

void row_sums(Steps& steps, double divisor, const Floats& x, const View<double>& y) { sums(steps, divisor, x, y); }

void row_means(Steps& steps, double divisor, const Floats& x, const Output& y) { sums(steps, divisor, x, y); }

}  // namespace fastnn

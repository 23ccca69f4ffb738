#include "arrays.h"

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

// y (rows) = sum of each row of x (rows, length), C-contiguous, over divisor: in double precision until it is a T. A
// row does not depend on the others.
template <class T>
py::array_t<T, 0> row_sums(const F32& x, double divisor) {
  require_ndim(x, 2, "row_sums", "x");
  require_contiguous(x, "row_sums", "x");
  const int64_t rows = x.shape(0), length = x.shape(1);
  py::array_t<T, 0> y = empty<T>({rows});
  T* out = y.mutable_data();
  const py::gil_scoped_release nogil;
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t i = 0; i < length; i += kBlock)
      sum += pairwise(x.data() + r * length + i, std::min(kBlock, length - i));
    out[r] = static_cast<T>(sum / divisor);
  }
  return y;
}

}  // namespace

void bind_row_sums(py::module_& m) {
  m.def("row_sums", &row_sums<double>, "x"_a.noconvert(), "divisor"_a = 1.0);
  m.def("row_means", &row_sums<float>, "x"_a.noconvert(), "divisor"_a);
}

}  // namespace fastnn

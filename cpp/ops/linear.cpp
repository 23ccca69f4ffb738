#include "ops/linear.h"

#include "ops/gemm.h"
#include "ops/sum_rows.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

// c (m, n) = a (m, k) . b (k, n)
Gemm product(const Floats& a, int64_t n, const Output& c) {
  Gemm g{};
  g.batch = 1, g.m = a.sizes[0], g.k = a.sizes[1], g.n = n;
  g.a = a.data, g.a_row = a.strides[0], g.a_col = a.strides[1];
  g.c = c.data, g.c_row = n;
  return g;
}

Floats turned(Floats a) {
  std::swap(a.sizes[0], a.sizes[1]);
  std::swap(a.strides[0], a.strides[1]);
  return a;
}

// dy transposed . x, or, where the columns are what is dense, the product of the transposes.
void weight_gradient(Steps& steps, const Floats& x, const Floats& dy, const Output& dweight) {
  const bool columns = dweight.strides[0] == 1 && dweight.strides[1] != 1;
  const Floats &a = columns ? x : dy, &b = columns ? dy : x;
  Gemm g = product(turned(a), b.sizes[1], dweight);
  g.b = b.data, g.b_row = b.strides[0], g.b_col = b.strides[1];
  check_gemm(g);
  steps.add(kernels().gemm->gemm, g);
}

}  // namespace

void linear_forward(Steps& steps, const Floats& x, const Weight& weight, const Floats& bias, bool relu,
                    const Output& y) {
  Gemm g = product(x, weight.sizes[0], y);
  g.b = weight.data, g.b_row = weight.strides[1], g.b_col = weight.strides[0];
  g.bias = bias.data, g.relu = relu;
  check_gemm(g);
  gemm_of_weight(steps, g, weight, bias);
}

void linear_backward(Steps& steps, const Floats& x, const Weight& weight, const Floats& dy, const Output& dx,
                     const Output& dweight, const Output& dbias) {
  if (dx) {
    Gemm g = product(dy, weight.sizes[1], dx);
    g.b = weight.data, g.b_row = weight.strides[0], g.b_col = weight.strides[1];
    check_gemm(g);
    gemm_of_weight(steps, g, weight, Floats());
  }
  if (dweight) weight_gradient(steps, x, dy, dweight);
  if (dbias) sum_rows(steps, dy, dbias);
}

}  // namespace fastnn

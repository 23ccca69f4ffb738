#include "ops/gemm.h"

#include "runtime/isa.h"

namespace fastnn {

// The workspace pads the columns of b to at most 64; arrays of stride 0 may have any number of elements.
void check_gemm(const Gemm& g) {
  const int64_t columns = checked_add(g.n, 64);
  checked_mul(checked_mul(checked_mul(g.b_batch == 0 ? 1 : g.batch, checked_add(g.k, 1)), columns), 4);
  checked_mul(checked_mul(g.batch, checked_add(g.m, 64)), columns);
}

void gemm(Steps& steps, const Floats& a, const Floats& b, const Output& c) {
  Gemm g{};
  g.batch = a.sizes[0], g.m = a.sizes[1], g.n = b.sizes[2], g.k = a.sizes[2];
  g.a = a.data, g.a_batch = a.strides[0], g.a_row = a.strides[1], g.a_col = a.strides[2];
  g.b = b.data, g.b_batch = b.sizes[0] == 1 ? 0 : b.strides[0], g.b_row = b.strides[1], g.b_col = b.strides[2];
  g.c = c.data, g.c_batch = g.m * g.n, g.c_row = g.n;
  check_gemm(g);
  steps.add(kernels().gemm->gemm, g);
}

void gemm_of_weight(Steps& steps, Gemm g, const Weight& b, const Floats& bias) {
  const GemmKernels& k = *kernels().gemm;
  const int64_t floats = k.gemm_pack.floats(g);
  if (b.owner && floats != 0 && g.m * g.batch != 0)
    g.packed = steps.pack(b, {&bias}, {g.n, g.k, g.b_row, g.b_col}, floats,
                          [&pack = k.gemm_pack, g](float* block) { launch(pack, g, block); });
  steps.add(k.gemm, g);
}

}  // namespace fastnn

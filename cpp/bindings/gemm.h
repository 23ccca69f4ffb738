// Matrix products for the bindings of every op that needs one.
#pragma once
#include "arrays.h"
#include "contract/gemm.h"
#include "packed.h"

namespace fastnn {

// Of an axis, in floats. Axes of size 1 may have any stride: 0 here.
inline int64_t float_stride(const F32& a, int axis, const char* op) {
  if (a.size() == 0) return 0;
  const bool one = a.shape(axis) == 1;
  if (reinterpret_cast<uintptr_t>(a.data()) % 4 || (!one && a.strides(axis) % 4))
    throw py::type_error(std::string(op) + ": arrays must be aligned");
  return one ? 0 : a.strides(axis) / 4;
}

// The workspace pads the columns of b to at most 64; arrays of stride 0 may have any number of elements.
inline void require_sane(const Gemm& g) {
  const int64_t columns = checked_add(g.n, 64);
  checked_mul(checked_mul(checked_mul(g.b_batch == 0 ? 1 : g.batch, checked_add(g.k, 1)), columns), 4);
  checked_mul(checked_mul(g.batch, checked_add(g.m, 64)), columns);
}

// With the GIL, which is released for the work. b and bias are weights, likely to come again unchanged: the packed form
// is kept, where b is dense in memory.
inline void run_gemm(Gemm g, const F32& b, const std::optional<F32>& bias) {
  const GemmKernels& k = *kernels().gemm;
  const int64_t floats = k.gemm_pack.floats(g);
  const bool keeps = g.m * g.batch != 0 && floats != 0 && is_dense(b, memory_order(b));
  const Floats start = view(bias);
  const py::gil_scoped_release nogil;
  if (!keeps) return launch(k.gemm, g);
  const Pack packed = packed_together(weight_view(b), {&start}, {g.n, g.k, g.b_row, g.b_col}, floats,
                                      [&](float* block) { launch(k.gemm_pack, g, block); });
  g.packed = packed->data();
  launch(k.gemm, g);
}

}  // namespace fastnn

// Matrix products for the bindings of every op that needs one. Call without the GIL.
#pragma once
#include "arrays.h"

namespace fastnn {

inline void run_gemm(Gemm g) {
  const Workspace packed(kernels().gemm_workspace(g));
  g.packed = packed.data();
  launch(kernels().gemm_pack, g);
  launch(kernels().gemm, g);
}

inline void run_sum_rows(SumRows s) {
  const Workspace partials(kernels().sum_rows_workspace(s));
  s.partials = partials.data();
  launch(kernels().sum_rows_partial, s);
  launch(kernels().sum_rows, s);
}

}  // namespace fastnn

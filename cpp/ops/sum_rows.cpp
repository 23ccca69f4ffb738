#include "ops/sum_rows.h"

#include "contract/gemm.h"
#include "runtime/isa.h"

namespace fastnn {

void sum_rows(Steps& steps, const Floats& x, const Output& y) {
  steps.add(kernels().gemm->sum_rows, SumRows{x.sizes[0], x.sizes[1], x.sizes[1], x.data, y.data, nullptr});
}

}  // namespace fastnn

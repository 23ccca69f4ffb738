#include "ops/dropout.h"

#include "contract/elementwise.h"
#include "runtime/isa.h"

namespace fastnn {

void dropout(Steps& steps, uint64_t key, uint32_t threshold, float factor, const Floats& x, const Output& y) {
  steps.add(kernels().elementwise->dropout, Dropout{x.size(), key, threshold, factor, x.data, y.data});
}

}  // namespace fastnn

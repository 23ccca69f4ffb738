#include "ops/roofline.h"

#include "contract/roofline.h"
#include "runtime/isa.h"

namespace fastnn {

void roofline_peak(Steps& steps, int64_t rounds, const Output& out) {
  steps.add(kernels().roofline->roofline_peak, RooflinePeak{out.size(), rounds, out.data});
}

int64_t roofline_peak_flops(int64_t tasks, int64_t rounds) {
  return kernels().roofline->roofline_peak_flops(RooflinePeak{tasks, rounds, nullptr});
}

void roofline_copy(Steps& steps, const Floats& x, const Output& y) {
  steps.add(kernels().roofline->roofline_copy, RooflineCopy{x.size(), x.data, y.data});
}

}  // namespace fastnn

// The contract of what measures the machine; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- roofline ------------------------------------------------------------------------------------------------------
// For benchmarks. out (tasks): sums of chains of multiply-adds of `steps` steps each.
struct RooflinePeak {
  int64_t tasks, steps;
  float* out;
};
// y (size) = x (size)
struct RooflineCopy {
  int64_t size;
  const float* x;
  float* y;
};

struct RooflineKernels {
  int64_t (*roofline_peak_flops)(const RooflinePeak&);
  Kernel<RooflinePeak> roofline_peak;
  Kernel<RooflineCopy> roofline_copy;
};

}  // namespace fastnn

// roofline: what the machine can do, for benchmarks.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// out.size() tasks of `rounds` rounds of multiply-adds in registers.
void roofline_peak(Steps& steps, int64_t rounds, const Output& out);
// How many floating-point operations those are.
int64_t roofline_peak_flops(int64_t tasks, int64_t rounds);
// y = x, both flat
void roofline_copy(Steps& steps, const Floats& x, const Output& y);

}  // namespace fastnn

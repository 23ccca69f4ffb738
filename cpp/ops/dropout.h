// dropout: x * factor where the random bits of an element are at least `threshold`, else 0. Backward is the same of dy.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// x and y: flat memory. The bits are a hash of `key` and of the element's place.
void dropout(Steps& steps, uint64_t key, uint32_t threshold, float factor, const Floats& x, const Output& y);

}  // namespace fastnn

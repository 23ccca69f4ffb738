// arithmetic: z = x op y of small arrays, where a kernel, or NumPy's way to a result without warnings, takes longer
// than the arithmetic.
#pragma once
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

constexpr int64_t kMostArithmetic = 1 << 12;  // elements; beyond, NumPy's loops are the faster ones

// sign: one of + - * /. x, y and z: flat, of one size, but x or y may be a single number, of no axes.
void arithmetic(Steps& steps, char sign, const Floats& x, const Floats& y, const Output& z);

}  // namespace fastnn

// gemm: matrix products, with what is checked and kept of them, for every op that needs one.
#pragma once
#include "contract/gemm.h"
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// Throws std::length_error where sizes are too large.
void check_gemm(const Gemm& g);

// c (batch, m, n) = a (batch, m, k) . b (batch or 1, k, n), any strides; c C-contiguous. Checked.
void gemm(Steps& steps, const Floats& a, const Floats& b, const Output& c);

// A checked product whose b and bias are weights, which are packed once for each value of them, where b is somebody's.
void gemm_of_weight(Steps& steps, Gemm g, const Weight& b, const Floats& bias);

}  // namespace fastnn

// avgpool2d: average pooling, and adaptive average pooling, which is the same over other windows.
#pragma once
#include "contract/pool.h"
#include "ops/pool2d.h"
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

struct AvgPool2dOptions {
  Pair kernel, stride, padding;
  bool ceil_mode, count_include_pad;
  int64_t divisor_override;  // 0: none
};

// They throw std::invalid_argument where sizes do not match, std::length_error where they are too large.
AvgPool2d avgpool2d_geometry(const ImageSizes& x, const AvgPool2dOptions& options, const char* op);
AvgPool2d adaptive_avgpool2d_geometry(const ImageSizes& x, const Pair& output_size, const char* op);

// All channels last.
void avgpool2d_forward(Steps& steps, const AvgPool2d& g, const Floats& x, const Output& y);
void avgpool2d_backward(Steps& steps, const AvgPool2d& g, const Floats& dy, const Output& dx);

}  // namespace fastnn

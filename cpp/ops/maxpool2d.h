// maxpool2d: the largest of each window, and its gradient.
#pragma once
#include "contract/pool.h"
#include "ops/pool2d.h"
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

struct MaxPool2dOptions {
  Pair kernel, stride, padding, dilation;
  bool ceil_mode;
};

// Throws std::invalid_argument where sizes do not match, std::length_error where they are too large.
MaxPool2d maxpool2d_geometry(const ImageSizes& x, const MaxPool2dOptions& options, const char* op);

// Whether an index, the tap that was taken, is a byte; else it is an int32.
bool maxpool2d_index_is_byte(const MaxPool2d& g);

// x, y, dx and dy channels last; index (n, oh, ow, c), C-contiguous; null where no gradient is wanted.
void maxpool2d_forward(Steps& steps, const MaxPool2d& g, const Floats& x, const Output& y, void* index);
void maxpool2d_backward(Steps& steps, const MaxPool2d& g, const Floats& dy, const void* index, const Output& dx);

}  // namespace fastnn

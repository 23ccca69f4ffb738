// The contract of the poolings; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- avgpool2d -----------------------------------------------------------------------------------------------------
// y (n, oh, ow, c) = means of x (n, h, w, c) over windows, along each axis
//   kernel > 0: window i begins at i * stride - padding, has kernel pixels, and is cut at size + padding;
//   kernel == 0: window i is [floor(i * size / count), ceil((i + 1) * size / count)), as adaptive pooling has it.
// Only pixels of the image are added. A sum is divided by divisor, or, where that is 0, by the pixels of the window:
// all of them (count_padding) or those of the image.
struct PoolAxis {
  int64_t size, count;  // of the image, of the output
  int64_t kernel, stride, padding;
};
struct AvgPool2d {
  int64_t n, c;
  PoolAxis rows, columns;
  bool count_padding;
  int64_t divisor;
};
struct AvgPool2dForward {
  AvgPool2d g;
  const float* x;
  float* y;
};
struct AvgPool2dBackward {
  AvgPool2d g;
  const float* dy;
  float* dx;
};

// ---- maxpool2d -----------------------------------------------------------------------------------------------------
// y (n, oh, ow, c) = the largest of x (n, h, w, c) at oy * stride - pad + ky * dilation, ..., over the taps inside the
// image; the first of equals; NaN if there is one, -inf if no tap is inside.
struct MaxPool2d {
  int64_t n, c, h, w, kh, kw, oh, ow;
  int64_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};
// index (n, oh, ow, c): the tap ky * kw + kx that was taken, in bytes where kh * kw <= 256, else in int32.
struct MaxPool2dForward {
  MaxPool2d g;
  const float* x;
  float* y;
  uint8_t* index8;
  int32_t* index32;  // one of the two, or neither where no gradient is wanted
};
struct MaxPool2dBackward {
  MaxPool2d g;
  const float* dy;
  const uint8_t* index8;
  const int32_t* index32;  // one of the two
  float* dx;
};

struct PoolKernels {
  Kernel<AvgPool2dForward> avgpool2d_forward;
  Kernel<AvgPool2dBackward> avgpool2d_backward;
  Kernel<MaxPool2dForward> maxpool2d_forward;
  Kernel<MaxPool2dBackward> maxpool2d_backward;
};

}  // namespace fastnn

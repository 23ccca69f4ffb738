// The contract of the convolutions; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- conv2d --------------------------------------------------------------------------------------------------------
// y (n, oh, ow, k) = sum over taps and c of x (n, h, w, c) * w (k, c / groups, kh, kw), plus bias (k) where not null.
// Activations are channels-last in memory (x_nchw: x is n, c, h, w instead); weights are as the user holds them.
struct Conv2d {
  int64_t n, c, h, w, k, kh, kw, oh, ow;
  int64_t stride_h, stride_w, dilation_h, dilation_w, groups;
  int64_t pad_top, pad_left;  // below and right follow from oh, ow
  bool x_nchw;
  bool direct;  // no Winograd, whatever the shape
};
// dot, planar: direct, with source channels or pixels as the lanes, for few output channels (of x in backward_input);
// spread: direct, with the channels of x in a row of taps as the lanes; grouped: as depthwise, with the channels of a
// few groups as the lanes; winograd2, winograd4: with tiles of 2x2 or 4x4 outputs.
enum class Conv2dAlgorithm { depthwise, direct, dot, grouped, planar, spread, winograd2, winograd4 };
struct Conv2dForward {
  Conv2d g;
  const float *x, *weight, *bias;
  float* y;
  float* packed;  // the block that conv2d_forward_pack fills
};
struct Conv2dBackwardInput {
  Conv2d g;
  const float *dy, *weight;
  float* dx;      // (n, h, w, c), also where x was n, c, h, w
  float* packed;  // the block that conv2d_backward_input_pack fills
};
struct Conv2dBackwardWeight {
  Conv2d g;
  const float *x, *dy;
  float* dw;        // (k, c / groups, kh, kw)
  float* partials;  // the workspace
};

struct ConvKernels {
  Conv2dAlgorithm (*conv2d_forward_algorithm)(const Conv2d&);
  Conv2dAlgorithm (*conv2d_backward_input_algorithm)(const Conv2d&);
  Conv2dAlgorithm (*conv2d_backward_weight_algorithm)(const Conv2d&);
  Packing<Conv2dForward> conv2d_forward_pack;
  Kernel<Conv2dForward> conv2d_forward;
  Packing<Conv2dBackwardInput> conv2d_backward_input_pack;
  Kernel<Conv2dBackwardInput> conv2d_backward_input;
  Kernel<Conv2dBackwardWeight> conv2d_backward_weight;
};

}  // namespace fastnn

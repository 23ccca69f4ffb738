// The contract of the convolutions; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- conv2d --------------------------------------------------------------------------------------------------------
// y (n, oh, ow, k) = sum over taps and c of x (n, h, w, c) * w (k, c / groups, kh, kw), plus bias (k) where not null.
// Then, where wanted, y = y + residual (as y lies), and y = max(y, 0): conv2d_finish for what no algorithm computes.
// Activations are channels-last in memory (x_nchw: x is n, c, h, w instead); weights are as the user holds them.
struct Conv2d {
  int64_t n, c, h, w, k, kh, kw, oh, ow;
  int64_t stride_h, stride_w, dilation_h, dilation_w, groups;
  int64_t pad_top, pad_left;  // below and right follow from oh, ow
  bool x_nchw;
  const char* algorithm;  // the name of the one to use (pinned), or kPlainSums; null: the best for the shape
};
constexpr const char* kPlainSums = "plain sums";  // the best of those that are: no Winograd, whatever the shape

struct Conv2dForward {
  Conv2d g;
  const float *x, *weight, *bias;
  float* y;
  const float* packed;    // the block that the algorithm's pack fills
  const float* residual;  // null: none
  bool relu;
};
struct Conv2dBackwardInput {
  Conv2d g;
  const float *dy, *weight;
  float* dx;            // (n, h, w, c), also where x was n, c, h, w
  const float* packed;  // the block that the algorithm's pack fills
};
struct Conv2dBackwardWeight {
  Conv2d g;
  const float *x, *dy;
  float* dw;        // (k, c / groups, kh, kw)
  float* partials;  // the workspace
};

// lanes: its lanes are channels as they lie, so that no product of matrices is faster, even where the convolution is
// one; phases: of backward_input, where pixels of dx that meet the same taps go together; sums: any other that is a
// plain sum; winograd: one that is not.
enum class Conv2dKind { lanes, phases, sums, winograd };
// One way to compute a direction. kernels/conv/choose.cpp has them all.
template <class Args>
struct Conv2dAlgorithm {
  const char* name;
  bool (*accepts)(const Conv2d&);  // whether it computes this shape
  bool (*pays)(const Conv2d&);     // and whether it is faster than those after it in the list
  Conv2dKind kind;
  const Packing<Args>* pack;  // null: nothing is packed
  const Kernel<Args>* kernel;
};

// Those of a direction, best first; the last accepts every shape.
template <class Args>
struct Conv2dAlgorithms {
  const Conv2dAlgorithm<Args>* first;
  int count;

  const Conv2dAlgorithm<Args>* begin() const { return first; }
  const Conv2dAlgorithm<Args>* end() const { return first + count; }
};

struct ConvKernels {
  Kernel<Conv2dForward> conv2d_finish;
  Conv2dAlgorithms<Conv2dForward> conv2d_forward;
  Conv2dAlgorithms<Conv2dBackwardInput> conv2d_backward_input;
  Conv2dAlgorithms<Conv2dBackwardWeight> conv2d_backward_weight;
};

}  // namespace fastnn

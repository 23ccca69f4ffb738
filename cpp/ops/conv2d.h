// conv2d: the shape of a convolution, and its three directions as steps. x, dy and dx are (n, c, h, w), weight and dw
// (k, c / groups, kh, kw).
#pragma once
#include <array>
#include <vector>

#include "contract/conv.h"
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

struct Conv2dOptions {
  std::array<int64_t, 2> stride;
  std::array<int64_t, 4> padding;  // top, bottom, left, right
  std::array<int64_t, 2> dilation;
  int64_t groups;
  // The name of the algorithm to use (conv2d_algorithm_names), kPlainSums, or null: the best. It outlives the geometry.
  const char* algorithm;
};

// Throws std::invalid_argument where sizes do not match, std::length_error where they are too large. `op` is named in
// the message.
Conv2d conv2d_geometry(const std::array<int64_t, 4>& x, const std::array<int64_t, 4>& weight,
                       const Conv2dOptions& options, const char* op);

// What forward, backward_input and backward_weight use for a g each. The three, and those below, throw
// std::invalid_argument where the algorithm of g does not compute it.
std::array<const char*, 3> conv2d_algorithms(const std::array<Conv2d, 3>& g);

// All that there are, of each direction.
std::array<std::vector<const char*>, 3> conv2d_algorithm_names();

// x channels last, or C-contiguous; y, residual, dy and dx channels last; weight, bias and dw C-contiguous. residual
// (of the shape of y, or none) is added to y, then, with relu, y = max(y, 0).
void conv2d_forward(Steps& steps, Conv2d g, const Floats& x, const Weight& weight, const Floats& bias,
                    const Floats& residual, bool relu, const Output& y);
void conv2d_backward_input(Steps& steps, const Conv2d& g, const Floats& dy, const Weight& weight, const Output& dx);
void conv2d_backward_weight(Steps& steps, Conv2d g, const Floats& x, const Floats& dy, const Output& dw);

}  // namespace fastnn

// The algorithms of the convolutions, by file. choose.cpp says which of them computes what.
#pragma once
#include "contract/conv.h"

namespace fastnn {
namespace FASTNN_ISA {

// depthwise.cpp, depthwise_weight.cpp: lanes are channels of x, of one group or several.
extern const Packing<Conv2dForward> depthwise_forward_pack;
extern const Kernel<Conv2dForward> depthwise_forward;
extern const Packing<Conv2dBackwardInput> depthwise_backward_input_pack;
extern const Kernel<Conv2dBackwardInput> depthwise_backward_input;
extern const Kernel<Conv2dBackwardWeight> depthwise_backward_weight;

// direct.cpp, direct_weight.cpp: lanes are output channels. They compute every shape.
extern const Packing<Conv2dForward> direct_forward_pack;
extern const Kernel<Conv2dForward> direct_forward;
extern const Packing<Conv2dBackwardInput> direct_backward_input_pack;
extern const Kernel<Conv2dBackwardInput> direct_backward_input;
extern const Kernel<Conv2dBackwardWeight> direct_backward_weight;

// dot.cpp: lanes are source channels.
extern const Packing<Conv2dForward> dot_forward_pack;
extern const Kernel<Conv2dForward> dot_forward;
extern const Packing<Conv2dBackwardInput> dot_backward_input_pack;
extern const Kernel<Conv2dBackwardInput> dot_backward_input;

// planar.cpp, planar_weight.cpp: lanes are pixels.
extern const Packing<Conv2dForward> planar_forward_pack;
extern const Kernel<Conv2dForward> planar_forward;
extern const Packing<Conv2dBackwardInput> planar_backward_input_pack;
extern const Kernel<Conv2dBackwardInput> planar_backward_input;
extern const Kernel<Conv2dBackwardWeight> planar_backward_weight;

// spread_input.cpp: lanes are the channels of x in a row of taps.
extern const Packing<Conv2dBackwardInput> spread_backward_input_pack;
extern const Kernel<Conv2dBackwardInput> spread_backward_input;

// winograd.cpp, winograd_weight.cpp: tiles of 2x2 or 4x4 outputs.
extern const Packing<Conv2dForward> winograd2_forward_pack, winograd4_forward_pack;
extern const Kernel<Conv2dForward> winograd2_forward, winograd4_forward;
extern const Packing<Conv2dBackwardInput> winograd2_backward_input_pack, winograd4_backward_input_pack;
extern const Kernel<Conv2dBackwardInput> winograd2_backward_input, winograd4_backward_input;
extern const Kernel<Conv2dBackwardWeight> winograd4_backward_weight;

}  // namespace FASTNN_ISA
}  // namespace fastnn

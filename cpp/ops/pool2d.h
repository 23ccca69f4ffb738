// What the poolings share: the size of the output and the limits of the geometry.
#pragma once
#include <array>
#include <cstdint>

namespace fastnn {

using Pair = std::array<int64_t, 2>;        // of the height, of the width
using ImageSizes = std::array<int64_t, 4>;  // (n, c, h, w)

// Number of windows along one axis, as torch counts them: with ceil_mode the last may end beyond the padding, but must
// begin inside the image or the padding before it. Everything is checked, so no later index can overflow.
int64_t pooled_size(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode,
                    const char* op);

}  // namespace fastnn

// broadcast: how an array is seen in a larger shape, without a copy.
#pragma once
#include <optional>
#include <vector>

namespace fastnn {

// The strides in `shape` of an array of these sizes and strides: 0 along the axes where it is repeated. None where it
// does not broadcast to it.
std::optional<std::vector<int64_t>> broadcast_strides(int axes, const int64_t* sizes, const int64_t* strides,
                                                      const std::vector<int64_t>& shape);

}  // namespace fastnn

#include "ops/broadcast.h"

namespace fastnn {

std::optional<std::vector<int64_t>> broadcast_strides(int axes, const int64_t* sizes, const int64_t* strides,
                                                      const std::vector<int64_t>& shape) {
  const int all = static_cast<int>(shape.size()), extra = all - axes;
  if (extra < 0) return std::nullopt;
  std::vector<int64_t> seen(shape.size());
  for (int i = 0; i < all; ++i) {
    if (shape[i] < 0) return std::nullopt;
    if (i < extra) continue;
    if (sizes[i - extra] != shape[i] && sizes[i - extra] != 1) return std::nullopt;
    seen[i] = sizes[i - extra] == shape[i] ? strides[i - extra] : 0;
  }
  return seen;
}

}  // namespace fastnn

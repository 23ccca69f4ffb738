// Masks of the variants: the part of a state that stays as it was, or what the candidate is multiplied by.
#pragma once
#include "ops/recurrent/layer.h"

namespace fastnn {

// One direction of a mask (D, rows, columns), or (D, 1, columns) for all rows; checked.
inline Mask mask_of(const Layer& layer, const Floats& mask, const char* name, int64_t direction, int64_t columns) {
  if (!mask) return {nullptr, 0};
  const int64_t rows = mask.axes == 3 && mask.sizes[1] == 1 ? 1 : layer.rows();
  check_shape(mask, {layer.directions(), rows, columns}, layer.op, name,
              [&] { return "x " + text(layer.x) + " and weight_hh " + text(layer.weights[0].hh); });
  return {mask.data + direction * rows * columns, rows == 1 ? 0 : columns};
}

}  // namespace fastnn

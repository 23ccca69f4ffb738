// The turns of a fold as steps.
#pragma once
#include <optional>

#include "ops/conv2d_fold.h"
#include "ops/steps.h"

namespace fastnn {

// The filters as the kernels have them, for the length of a C++ scope.
class Folded {
 public:
  Folded(const Fold& fold, const float* weight) : data_(weight) {
    const int64_t floats = weight_room(fold);
    if (floats == 0) return;
    data_ = room_.emplace(floats).data();
    fold_weight(fold, weight, room_->data());
  }
  const float* data() const { return data_; }

 private:
  std::optional<Workspace> room_;
  const float* data_;
};

inline const float* folded_weight(Steps& steps, const Fold& fold, const float* weight) {
  const int64_t floats = weight_room(fold);
  if (floats == 0) return weight;
  float* room = steps.room(floats);
  steps.call_on_weights([=] { fold_weight(fold, weight, room); });
  return room;
}

inline const float* folded_image(Steps& steps, const Fold& fold, const float* x) {
  const int64_t floats = image_room(fold);
  if (floats == 0) return x;
  float* room = steps.room(floats);
  steps.call([=] { fold_image(fold, x, room); });
  return room;
}

// Where the kernels write dw or dx, and after them the step from there to the caller's array.
inline float* weight_target(Steps& steps, const Fold& fold, float* dw) {
  const int64_t floats = weight_room(fold);
  return floats ? steps.room(floats) : dw;
}
inline float* gradient_target(Steps& steps, const Fold& fold, float* dx) {
  const int64_t floats = gradient_room(fold);
  return floats ? steps.room(floats) : dx;
}
inline void unfold_weight(Steps& steps, const Fold& fold, float* from, float* dw) {
  if (from != dw) steps.call([=] { unfold_weight(fold, from, dw); });
}
inline void unfold_image(Steps& steps, const Fold& fold, float* from, float* dx) {
  if (from != dx) steps.call([=] { unfold_image(fold, from, dx); });
}

}  // namespace fastnn

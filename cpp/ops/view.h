// Arrays as the ops see them: memory of somebody else, its sizes and strides. Knows no Python.
#pragma once
#include <cstdint>

namespace fastnn {

constexpr int kMostAxes = 5;

template <class T>
struct View {
  T* data = nullptr;  // null: no array
  int axes = 0;
  int64_t sizes[kMostAxes] = {};
  int64_t strides[kMostAxes] = {};  // in elements

  explicit operator bool() const { return data != nullptr; }
  int64_t size() const {
    int64_t product = 1;
    for (int i = 0; i < axes; ++i) product *= sizes[i];
    return product;
  }
};

using Floats = View<const float>;
using Ints = View<const int64_t>;
using Output = View<float>;

// Floats that are likely to come again unchanged, dense in memory, and whose memory they are: a name for it, not to be
// looked into; null: nobody's, so that nothing is kept for them.
struct Weight : Floats {
  void* owner = nullptr;
};

}  // namespace fastnn

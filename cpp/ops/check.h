// How an op refuses what does not fit: std::invalid_argument, ValueError in Python, with "op: what is wrong". Messages
// are functions: a short op takes less time than the text of its errors.
#pragma once
#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops/view.h"

namespace fastnn {

using Sizes = std::vector<int64_t>;

inline std::string text(const int64_t* sizes, int axes) {
  std::string s = "(";
  for (int i = 0; i < axes; ++i) s += (i ? ", " : "") + std::to_string(sizes[i]);
  return s + (axes == 1 ? ",)" : ")");
}
inline std::string text(const Sizes& sizes) { return text(sizes.data(), static_cast<int>(sizes.size())); }
template <class T>
std::string text(const View<T>& a) {
  return text(a.sizes, a.axes);
}

template <class Why>
void check(bool ok, const char* op, Why why) {
  if (!ok) throw std::invalid_argument(std::string(op) + ": " + why());
}
inline void check(bool ok, const char* op, const char* why) {
  if (!ok) throw std::invalid_argument(std::string(op) + ": " + why);
}

template <class T>
bool has_shape(const View<T>& a, std::initializer_list<int64_t> sizes) {
  return a.axes == static_cast<int>(sizes.size()) && std::equal(sizes.begin(), sizes.end(), a.sizes);
}

// why(): what asks for that shape.
template <class T, class Why>
void check_shape(const View<T>& a, std::initializer_list<int64_t> sizes, const char* op, const char* name, Why why) {
  check(has_shape(a, sizes), op,
        [&] { return name + (" has shape " + text(a)) + ", but " + why() + " expects " + text(Sizes(sizes)); });
}

}  // namespace fastnn

// Weights and whose memory they are, for packs (ops/packs.h).
#pragma once
#include "arrays.h"
#include "ops/packs.h"

namespace fastnn {

// The array whose memory it is: packs live as long as that one, however many views of it come and go. A chain of bases
// ends at the array that owns the memory, or at one whose memory is no array's. Needs no GIL while `array` lives.
inline void* owner_of(const py::array& array) {
  PyObject* owner = array.ptr();
  for (;;) {
    PyObject* base = py::detail::array_proxy(owner)->base;
    if (!base || !py::isinstance<py::array>(base)) return owner;
    owner = base;
  }
}

inline Weight weight_view(const F32& a) { return {view(a), owner_of(a)}; }
inline Weight weight_view(const std::optional<F32>& a) { return a ? weight_view(*a) : Weight(); }

inline Weight dense_weight(const std::optional<F32>& a, const char* op, const char* name) {
  if (!a) return {};
  require_contiguous(*a, op, name);
  return weight_view(*a);
}

}  // namespace fastnn

// Packed weights for the bindings: made once per value of the weights, found again while they keep it.
#pragma once
#include <initializer_list>

#include "arrays.h"
#include "packs.h"

namespace fastnn {

// The array whose memory it is: packs live as long as that one, however many views of it come and go.
inline py::object owner_of(py::object array) {
  for (;;) {
    py::object base = array.attr("base");
    if (!py::isinstance<py::array>(base)) return array;
    array = base;
  }
}

inline void add_digest(const float* x, int64_t size, Digest& digest) {
  const size_t before = digest.size();
  digest.resize(before + kernels().digest_words(size));
  launch(kernels().digest, DigestArgs{size, x, digest.data() + before});
}

// A block that fill(float*) has filled from `weight` and the `others` (dense; null: none). Call with the GIL; it is
// released for the work. `key`: whatever the layout depends on beside their bits.
template <class Fill>
std::shared_ptr<const Workspace> packed_together(const py::array& weight, std::initializer_list<const F32*> others,
                                                 PackKey key, int64_t floats, Fill fill) {
  const py::object owner = owner_of(weight);
  key.insert(key.begin(), {reinterpret_cast<intptr_t>(weight.data()), reinterpret_cast<intptr_t>(&kernels())});
  std::shared_ptr<const Workspace> block;
  bool added = false;
  {
    const py::gil_scoped_release nogil;
    Digest digest;
    add_digest(static_cast<const float*>(weight.data()), weight.size(), digest);
    for (const F32* other : others)
      if (other) add_digest(other->data(), other->size(), digest);
    block = find_pack(owner.ptr(), key, digest);
    if (!block) {
      const auto fresh = std::make_shared<Workspace>(floats);
      fill(fresh->data());
      block = fresh;
      added = keep_pack(owner.ptr(), key, std::move(digest), block);
    }
  }
  if (added) {  // the weak reference lives until it has called back
    const void* id = owner.ptr();
    py::weakref(owner, py::cpp_function([id](py::handle reference) {
                  forget_packs(id);
                  reference.dec_ref();
                }))
        .release();
  }
  return block;
}

template <class Fill>
std::shared_ptr<const Workspace> packed_weights(const py::array& weight, const std::optional<F32>& bias, PackKey key,
                                                int64_t floats, Fill fill) {
  return packed_together(weight, {bias ? &*bias : nullptr}, std::move(key), floats, fill);
}

}  // namespace fastnn

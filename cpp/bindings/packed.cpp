#include "packed.h"

namespace fastnn {

void watch_arrays() {
  watch_owners([](void* owner) {
    const py::gil_scoped_acquire gil;
    const py::handle array(static_cast<PyObject*>(owner));
    // The weak reference lives until it has called back.
    py::weakref(array, py::cpp_function([owner](py::handle reference) {
                  forget_packs(owner);
                  reference.dec_ref();
                }))
        .release();
  });
}

}  // namespace fastnn

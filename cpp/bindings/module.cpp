// fastnn._core: the list of what is bound, one line a file.
#include "arrays.h"

namespace fastnn {

static void bind_all(py::module_& m) {
  // clang-format off
  void bind_dense(py::module_&); bind_dense(m);
  void bind_elementwise(py::module_&); bind_elementwise(m);
  void bind_image(py::module_&); bind_image(m);
  void bind_loss(py::module_&); bind_loss(m);
  void bind_runtime(py::module_&); bind_runtime(m);
  void bind_sequence(py::module_&); bind_sequence(m);
  void bind_steps(py::module_&); bind_steps(m);
  void bind_stream(py::module_&); bind_stream(m);
  // clang-format on
}

}  // namespace fastnn

PYBIND11_MODULE(_core, m) { fastnn::bind_all(m); }

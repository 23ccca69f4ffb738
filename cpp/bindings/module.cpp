// fastnn._core: the list of what is bound, one line a file.
#include "arrays.h"

namespace fastnn {

static void bind_all(py::module_& m) {
  // clang-format off
  void bind_conv2d(py::module_&); bind_conv2d(m);
  void bind_dense(py::module_&); bind_dense(m);
  void bind_elementwise(py::module_&); bind_elementwise(m);
  void bind_gru(py::module_&); bind_gru(m);
  void bind_gru_variant(py::module_&); bind_gru_variant(m);
  void bind_image(py::module_&); bind_image(m);
  void bind_loss(py::module_&); bind_loss(m);
  void bind_lstm(py::module_&); bind_lstm(m);
  void bind_lstm_variant(py::module_&); bind_lstm_variant(m);
  void bind_recurrent_step(py::module_&); bind_recurrent_step(m);
  void bind_rnn(py::module_&); bind_rnn(m);
  void bind_runtime(py::module_&); bind_runtime(m);
  // clang-format on
}

}  // namespace fastnn

PYBIND11_MODULE(_core, m) { fastnn::bind_all(m); }

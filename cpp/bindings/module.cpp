// fastnn._core: the list of what is bound, one file per op, one line each.
#include "arrays.h"

namespace fastnn {

static void bind_all(py::module_& m) {
  // clang-format off
  void bind_activation(py::module_&); bind_activation(m);
  void bind_arithmetic(py::module_&); bind_arithmetic(m);
  void bind_avgpool2d(py::module_&); bind_avgpool2d(m);
  void bind_batchnorm(py::module_&); bind_batchnorm(m);
  void bind_broadcast(py::module_&); bind_broadcast(m);
  void bind_conv2d(py::module_&); bind_conv2d(m);
  void bind_crf(py::module_&); bind_crf(m);
  void bind_cross_entropy(py::module_&); bind_cross_entropy(m);
  void bind_ctc(py::module_&); bind_ctc(m);
  void bind_digest(py::module_&); bind_digest(m);
  void bind_dropout(py::module_&); bind_dropout(m);
  void bind_embedding(py::module_&); bind_embedding(m);
  void bind_gemm(py::module_&); bind_gemm(m);
  void bind_linear(py::module_&); bind_linear(m);
  void bind_maxpool2d(py::module_&); bind_maxpool2d(m);
  void bind_mse_loss(py::module_&); bind_mse_loss(m);
  void bind_optimizer(py::module_&); bind_optimizer(m);
  void bind_roofline(py::module_&); bind_roofline(m);
  void bind_row_sums(py::module_&); bind_row_sums(m);
  void bind_runtime(py::module_&); bind_runtime(m);
  void bind_sequence(py::module_&); bind_sequence(m);
  void bind_softmax(py::module_&); bind_softmax(m);
  void bind_steps(py::module_&); bind_steps(m);
  void bind_stream(py::module_&); bind_stream(m);
  void bind_sum_rows(py::module_&); bind_sum_rows(m);
  void bind_take_rows(py::module_&); bind_take_rows(m);
  void bind_transpose(py::module_&); bind_transpose(m);
  // clang-format on
}

}  // namespace fastnn

PYBIND11_MODULE(_core, m) { fastnn::bind_all(m); }

#include "arrays.h"
#include "contract/gemm.h"

namespace fastnn {
namespace {

// Every index is in the table, or an IndexError names the first that is not. The kernels do not look again.
void require_indices(const I64& indices, int64_t rows, const char* op) {
  require_ndim(indices, 1, op, "indices");
  require_contiguous(indices, op, "indices");
  const int64_t* p = indices.data();
  for (int64_t i = 0; i < indices.shape(0); ++i)
    if (p[i] < 0 || p[i] >= rows)
      throw py::index_error(std::string("embedding: index ") + std::to_string(p[i]) + " is outside the table of " +
                            std::to_string(rows) + " rows");
}

F32 forward(const I64& indices, const F32& weight) {
  const char* op = "embedding_forward";
  require_ndim(weight, 2, op, "weight");
  require_contiguous(weight, op, "weight");
  require_indices(indices, weight.shape(0), op);
  F32 y = empty({indices.shape(0), weight.shape(1)});
  const Embedding e{indices.shape(0), weight.shape(0), weight.shape(1),
                    indices.data(),   weight.data(),   y.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().gemm->embedding_forward, e);
  }
  return y;
}

F32 backward(const I64& indices, const F32& dy, int64_t rows, int64_t skip) {
  const char* op = "embedding_backward";
  require(rows >= 0, op, "rows is " + std::to_string(rows));
  require_indices(indices, rows, op);
  require_ndim(dy, 2, op, "dy");
  const int64_t width = dy.shape(1);
  require_shape(dy, {indices.shape(0), width}, op, "dy");
  require_contiguous(dy, op, "dy");
  F32 dw = empty({rows, width});
  checked_mul(checked_add(checked_add(rows, 1), indices.shape(0)), 16);  // bytes of its workspace
  const EmbeddingBackward e{indices.shape(0), rows, width, skip, indices.data(), dy.data(), dw.mutable_data(), nullptr};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().gemm->embedding_backward, e);
  }
  return dw;
}

}  // namespace

void bind_embedding(py::module_& m) {
  m.def("embedding_backward", &backward, "indices"_a.noconvert(), "dy"_a.noconvert(), "rows"_a, "skip"_a);
  m.def("embedding_forward", &forward, "indices"_a.noconvert(), "weight"_a.noconvert());
}

}  // namespace fastnn

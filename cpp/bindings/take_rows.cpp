#include "arrays.h"
#include "contract/gemm.h"

namespace fastnn {
namespace {

// y (count, width) = rows of x (rows, width) named by index (count), zeros where it is -1: an embedding, in effect.
F32 take_rows(const F32& x, const I64& index) {
  const char* op = "take_rows";
  require_ndim(x, 2, op, "x");
  require_contiguous(x, op, "x");
  require_ndim(index, 1, op, "index");
  require_contiguous(index, op, "index");
  const int64_t rows = x.shape(0);
  const int64_t* p = index.data();
  const int64_t* wrong = std::find_if(p, p + index.size(), [&](int64_t i) { return i < -1 || i >= rows; });
  if (wrong != p + index.size())
    throw py::index_error("take_rows: index " + std::to_string(*wrong) + " is outside x " + shape_text(shape_of(x)));
  F32 y = empty({index.shape(0), x.shape(1)});
  const Embedding e{index.shape(0), rows, x.shape(1), p, x.data(), y.mutable_data()};
  const py::gil_scoped_release nogil;
  launch(kernels().gemm->embedding_forward, e);
  return y;
}

}  // namespace

void bind_take_rows(py::module_& m) { m.def("take_rows", &take_rows, "x"_a.noconvert(), "index"_a.noconvert()); }

}  // namespace fastnn

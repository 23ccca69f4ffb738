#include "arrays.h"
#include "contract/gemm.h"

namespace fastnn {
namespace {

// (N, cols, rows) from x (N, rows, cols).
F32 transpose(const F32& x) {
  require_ndim(x, 3, "transpose", "x");
  require_contiguous(x, "transpose", "x");
  F32 y = empty({x.shape(0), x.shape(2), x.shape(1)});
  const Transpose t{x.shape(0), x.shape(1), x.shape(2), x.data(), y.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().gemm->transpose, t);
  }
  return y;
}

}  // namespace

void bind_transpose(py::module_& m) { m.def("transpose", &transpose, "x"_a.noconvert()); }

}  // namespace fastnn

#include "gemm.h"

namespace fastnn {
namespace {

F32 sum_rows(const F32& x) {
  require_ndim(x, 2, "sum_rows", "x");
  require_contiguous(x, "sum_rows", "x");
  F32 out = empty({x.shape(1)});
  const SumRows s{x.shape(0), x.shape(1), x.shape(1), x.data(), out.mutable_data(), nullptr};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().gemm->sum_rows, s);
  }
  return out;
}

}  // namespace

void bind_sum_rows(py::module_& m) { m.def("sum_rows", &sum_rows, "x"_a.noconvert()); }

}  // namespace fastnn

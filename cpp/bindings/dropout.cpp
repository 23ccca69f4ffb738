#include "arrays.h"
#include "contract/elementwise.h"

namespace fastnn {
namespace {

F32 dropout(const F32& x, uint64_t key, uint32_t threshold, float factor) {
  F32 y = empty_strided<float>(shape_of(x), require_dense(x, "dropout", "x"));
  const Dropout d{x.size(), key, threshold, factor, x.data(), y.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().elementwise->dropout, d);
  }
  return y;
}

}  // namespace

void bind_dropout(py::module_& m) { m.def("dropout", &dropout, "x"_a.noconvert(), "key"_a, "threshold"_a, "factor"_a); }

}  // namespace fastnn

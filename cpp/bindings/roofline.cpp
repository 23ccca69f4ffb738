#include "contract/roofline.h"
#include "arrays.h"

namespace fastnn {
namespace {

// Runs tasks * steps rounds of multiply-adds in registers; returns how many floating-point operations those were.
int64_t roofline_peak(int64_t tasks, int64_t steps) {
  require(tasks >= 1 && tasks <= 1 << 20 && steps >= 1 && steps <= int64_t{1} << 32, "roofline_peak",
          "tasks must be 1 to 2**20 and steps 1 to 2**32");
  F32 out = empty({tasks});
  const RooflinePeak p{tasks, steps, out.mutable_data()};
  {
    const py::gil_scoped_release nogil;
    launch(kernels().roofline->roofline_peak, p);
  }
  return kernels().roofline->roofline_peak_flops(p);
}

// y[...] = x[...], both (size), C-contiguous
void roofline_copy(const F32& x, F32& y) {
  require_ndim(x, 1, "roofline_copy", "x");
  require_shape(y, {x.shape(0)}, "roofline_copy", "y");
  require_contiguous(x, "roofline_copy", "x");
  require_contiguous(y, "roofline_copy", "y");
  const RooflineCopy c{x.shape(0), x.data(), y.mutable_data()};
  const py::gil_scoped_release nogil;
  launch(kernels().roofline->roofline_copy, c);
}

}  // namespace

void bind_roofline(py::module_& m) {
  m.def("roofline_copy", &roofline_copy, "x"_a.noconvert(), "y"_a.noconvert());
  m.def("roofline_peak", &roofline_peak, "tasks"_a, "steps"_a);
}

}  // namespace fastnn

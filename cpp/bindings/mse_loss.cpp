#include "arrays.h"
#include "contract/loss.h"

namespace fastnn {
namespace {

// (loss, gradient): the total as a 0-d array, or with `each` the squares; gradient times scale, where wanted.
std::pair<F32, std::optional<F32>> mse_loss(const F32& x, const F32& target, double scale, bool each, bool gradient) {
  const char* op = "mse_loss";
  require_contiguous(x, op, "x");
  require_shape(target, shape_of(x), op, "target");
  require_contiguous(target, op, "target");
  MseLoss m{};
  m.size = x.size(), m.x = x.data(), m.target = target.data(), m.scale = scale;
  F32 total = empty({}), losses = empty(each ? shape_of(x) : Shape{0});
  std::optional<F32> dx;
  if (gradient) dx = empty(shape_of(x));
  m.total = total.mutable_data();
  m.losses = each ? losses.mutable_data() : nullptr;
  m.dx = dx ? dx->mutable_data() : nullptr;
  {
    const py::gil_scoped_release nogil;
    launch(kernels().loss->mse_loss, m);
  }
  return {each ? losses : total, dx};
}

}  // namespace

void bind_mse_loss(py::module_& m) {
  m.def("mse_loss", &mse_loss, "x"_a.noconvert(), "target"_a.noconvert(), "scale"_a, "each"_a, "gradient"_a);
}

}  // namespace fastnn

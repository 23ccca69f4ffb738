#include "gemm.h"

namespace fastnn {
namespace {

// a (B, M, K) times b (B or 1, K, N), any strides.
F32 gemm(const F32& a, const F32& b) {
  require_ndim(a, 3, "gemm", "a");
  require_ndim(b, 3, "gemm", "b");
  const bool shared = b.shape(0) == 1;
  require_shape(b, {shared ? 1 : a.shape(0), a.shape(2), b.shape(2)}, "gemm", "b");
  Gemm g{};
  g.batch = a.shape(0), g.m = a.shape(1), g.n = b.shape(2), g.k = a.shape(2);
  g.a = a.data(), g.b = b.data();
  g.a_batch = float_stride(a, 0, "gemm"), g.a_row = float_stride(a, 1, "gemm"), g.a_col = float_stride(a, 2, "gemm");
  g.b_batch = shared ? 0 : float_stride(b, 0, "gemm");
  g.b_row = float_stride(b, 1, "gemm"), g.b_col = float_stride(b, 2, "gemm");
  require_sane(g);
  F32 c = empty({a.shape(0), a.shape(1), b.shape(2)});
  g.c = c.mutable_data(), g.c_batch = a.shape(1) * b.shape(2), g.c_row = b.shape(2);
  const py::gil_scoped_release nogil;
  launch(kernels().gemm->gemm, g);
  return c;
}

}  // namespace

void bind_gemm(py::module_& m) { m.def("gemm", &gemm, "a"_a.noconvert(), "b"_a.noconvert()); }

}  // namespace fastnn

#include "gemm.h"

#include "packed.h"

namespace fastnn {
namespace {

int64_t stride(const F32& a, int axis) {
  if (a.size() == 0) return 0;
  const bool one = a.shape(axis) == 1;  // then its stride may be anything
  if (reinterpret_cast<uintptr_t>(a.data()) % 4 || (!one && a.strides(axis) % 4))
    throw py::type_error("gemm: arrays must be aligned");
  return one ? 0 : a.strides(axis) / 4;
}

// The workspace pads the columns of b to at most 64; arrays of stride 0 may have any number of elements.
void require_sane(const F32& a, const F32& b) {
  const int64_t columns = checked_add(b.shape(2), 64);
  checked_mul(checked_mul(checked_mul(b.shape(0), checked_add(b.shape(1), 1)), columns), 4);
  checked_mul(checked_mul(a.shape(0), checked_add(a.shape(1), 64)), columns);
}

// a (B, M, K) times b (B or 1, K, N), any strides, plus bias (N). weights: b is likely to come
// again unchanged, and its packed form is kept (where it is dense in memory).
F32 gemm(const F32& a, const F32& b, const std::optional<F32>& bias, bool weights) {
  require_ndim(a, 3, "gemm", "a");
  require_ndim(b, 3, "gemm", "b");
  const bool shared = b.shape(0) == 1;
  require_shape(b, {shared ? 1 : a.shape(0), a.shape(2), b.shape(2)}, "gemm", "b");
  if (bias) {
    require_shape(*bias, {b.shape(2)}, "gemm", "bias");
    require_contiguous(*bias, "gemm", "bias");
  }
  require_sane(a, b);
  F32 c = empty({a.shape(0), a.shape(1), b.shape(2)});
  Gemm g{a.shape(0),   a.shape(1),   b.shape(2),         a.shape(2),       a.data(),
         stride(a, 0), stride(a, 1), stride(a, 2),       b.data(),         shared ? 0 : stride(b, 0),
         stride(b, 1), stride(b, 2), data_or_null(bias), c.mutable_data(), a.shape(1) * b.shape(2),
         b.shape(2),   nullptr};
  if (!weights || c.size() == 0 || kernels().gemm_workspace(g) == 0 || !is_dense(b, memory_order(b))) {
    const py::gil_scoped_release nogil;
    run_gemm(g);
    return c;
  }
  const auto packed = packed_weights(b, bias, {g.n, g.k, g.b_row, g.b_col}, kernels().gemm_workspace(g), [&](float* p) {
    g.packed = p;
    launch(kernels().gemm_pack, g);
  });
  g.packed = packed->data();
  const py::gil_scoped_release nogil;
  launch(kernels().gemm, g);
  return c;
}

}  // namespace

void bind_gemm(py::module_& m) {
  m.def("gemm", &gemm, "a"_a.noconvert(), "b"_a.noconvert(), "bias"_a.noconvert() = py::none(), "weights"_a = false);
}

}  // namespace fastnn

// The three products of a convolution that is one (conv2d_fold.h): rows (m, groups x depth) of x, filters
// (groups x outputs, depth) as the caller has them, so none of them is turned, and y (m, groups x outputs).
#pragma once
#include "conv2d_fold.h"
#include "gemm.h"

namespace fastnn {

inline Gemm product_gemm(int64_t m, int64_t n, int64_t k) {
  Gemm g{};
  g.batch = 1, g.m = m, g.n = n, g.k = k;
  return g;
}

// c = a . b for each group, b the filters, packed as long as they stay the same. set(g, group): its arrays.
template <class Set>
void product_of_weights(const Fold& f, const F32& weight, const std::optional<F32>& bias, Gemm g, PackKey key,
                        const Set& set) {
  Blocks blocks;
  const int64_t groups = f.outer.groups, floats = kernels().gemm->gemm_pack.floats(g);
  const auto all = [&](const float* filters, const float* packed) {
    for (int64_t group = 0; group < groups; ++group) {
      set(g, filters, group);
      g.packed = packed ? packed + group * floats : nullptr;
      launch(kernels().gemm->gemm, g);
    }
  };
  if (floats == 0) {  // the filters are read as they lie
    const py::gil_scoped_release nogil;
    return all(folded_weight(f, weight.data(), blocks), nullptr);
  }
  f.add_to(key);
  key.insert(key.end(), {g.n, g.k, g.b_row, g.b_col, groups, 0});
  const py::gil_scoped_release nogil;
  const Floats start = view(bias);
  const Pack packed = packed_together(weight_view(weight), {&start}, key, groups * floats, [&](float* to) {
    const float* filters = folded_weight(f, weight.data(), blocks);
    for (int64_t group = 0; group < groups; ++group) {
      set(g, filters, group);
      launch(kernels().gemm->gemm_pack, g, to + group * floats);
    }
  });
  all(nullptr, packed->data());
}

// y = rows . filters^T + bias
inline void product_forward(const Fold& f, const float* x, const F32& weight, const std::optional<F32>& bias,
                            float* y) {
  const int64_t outputs = f.outer.k / f.outer.groups, depth = f.depth();
  Blocks blocks;
  const float* rows;
  {
    const py::gil_scoped_release nogil;
    rows = folded_image(f, x, blocks);
  }
  Gemm g = product_gemm(f.rows(), outputs, depth);
  g.a_row = f.outer.groups * depth, g.a_col = 1;
  g.b_row = 1, g.b_col = depth;
  g.c_row = f.outer.k;
  product_of_weights(f, weight, bias, g, {0}, [&](Gemm& p, const float* filters, int64_t group) {
    p.a = rows + group * depth;
    p.b = filters ? filters + group * outputs * depth : nullptr;
    p.bias = bias ? bias->data() + group * outputs : nullptr;
    p.c = y + group * outputs;
  });
}

// dx = dy . filters
inline void product_backward_input(const Fold& f, const float* dy, const F32& weight, float* dx) {
  const int64_t outputs = f.outer.k / f.outer.groups, depth = f.depth();
  Blocks blocks;
  float* rows = image_target(f, dx, blocks);
  Gemm g = product_gemm(f.rows(), depth, outputs);
  g.a_row = f.outer.k, g.a_col = 1;
  g.b_row = depth, g.b_col = 1;
  g.c_row = f.outer.groups * depth;
  product_of_weights(f, weight, {}, g, {1}, [&](Gemm& p, const float* filters, int64_t group) {
    p.a = dy + group * outputs;
    p.b = filters ? filters + group * outputs * depth : nullptr;
    p.c = rows + group * depth;
  });
  const py::gil_scoped_release nogil;
  unfold_image(f, rows, dx, blocks);
}

// dw = dy^T . rows. Without the GIL.
inline void product_backward_weight(const Fold& f, const float* x, const float* dy, float* dw) {
  const int64_t outputs = f.outer.k / f.outer.groups, depth = f.depth();
  Blocks blocks;
  const float* rows = folded_image(f, x, blocks);
  float* target = weight_target(f, dw, blocks);
  Gemm g = product_gemm(outputs, depth, f.rows());
  g.a_row = 1, g.a_col = f.outer.k;
  g.b_row = f.outer.groups * depth, g.b_col = 1;
  g.c_row = depth;
  for (int64_t group = 0; group < f.outer.groups; ++group) {
    g.a = dy + group * outputs;
    g.b = rows + group * depth;
    g.c = target + group * outputs * depth;
    launch(kernels().gemm->gemm, g);
  }
  unfold_weight(f, target, dw, blocks);
}

}  // namespace fastnn

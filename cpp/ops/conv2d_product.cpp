// Rows (m, groups x depth) of x, filters (groups x outputs, depth) as the caller has them, so none of them is turned,
// and y (m, groups x outputs).
#include "ops/conv2d_product.h"

#include "contract/gemm.h"
#include "ops/conv2d_steps.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

Gemm product_gemm(int64_t m, int64_t n, int64_t k) {
  Gemm g{};
  g.batch = 1, g.m = m, g.n = n, g.k = k;
  return g;
}

// c = a . b for each group, b the filters, packed as long as they stay the same; `a`, `b`, `bias` and `c` floats from
// one group to the next. g has the arrays of group 0, but for b.
struct Groups {
  int64_t a, b, bias, c;
};

Gemm of_group(Gemm g, const float* filters, const Groups& step, int64_t group) {
  g.a += group * step.a, g.c += group * step.c;
  g.b = filters ? filters + group * step.b : nullptr;
  if (g.bias) g.bias += group * step.bias;
  return g;
}

void product_of_weights(Steps& steps, const Fold& f, const Weight& weight, const Floats& bias, Gemm g,
                        const Groups& step, PackKey key) {
  const GemmKernels& k = *kernels().gemm;
  const int64_t groups = f.outer.groups, floats = k.gemm_pack.floats(g);
  if (floats == 0) {  // the filters are read as they lie
    const float* filters = folded_weight(steps, f, weight.data);
    for (int64_t group = 0; group < groups; ++group) steps.add(k.gemm, of_group(g, filters, step, group));
    return;
  }
  f.add_to(key);
  key.insert(key.end(), {g.n, g.k, g.b_row, g.b_col, groups, 0});
  const float* packed = steps.pack(weight, {&bias}, key, groups * floats, [=, &k, w = weight.data](float* to) {
    const Folded filters(f, w);
    for (int64_t group = 0; group < groups; ++group)
      launch(k.gemm_pack, of_group(g, filters.data(), step, group), to + group * floats);
  });
  for (int64_t group = 0; group < groups; ++group) {
    Gemm p = of_group(g, nullptr, step, group);
    p.packed = packed + group * floats;
    steps.add(k.gemm, p);
  }
}

}  // namespace

// y = rows . filters^T + bias
void product_forward(Steps& steps, const Fold& f, const float* x, const Weight& weight, const Floats& bias, float* y) {
  const int64_t outputs = f.outer.k / f.outer.groups, depth = f.depth();
  Gemm g = product_gemm(f.rows(), outputs, depth);
  g.a_row = f.outer.groups * depth, g.a_col = 1;
  g.b_row = 1, g.b_col = depth;
  g.c_row = f.outer.k;
  g.a = folded_image(steps, f, x), g.bias = bias.data, g.c = y;
  product_of_weights(steps, f, weight, bias, g, {depth, outputs * depth, outputs, outputs}, {0});
}

// dx = dy . filters
void product_backward_input(Steps& steps, const Fold& f, const float* dy, const Weight& weight, float* dx) {
  const int64_t outputs = f.outer.k / f.outer.groups, depth = f.depth();
  float* rows = gradient_target(steps, f, dx);
  Gemm g = product_gemm(f.rows(), depth, outputs);
  g.a_row = f.outer.k, g.a_col = 1;
  g.b_row = depth, g.b_col = 1;
  g.c_row = f.outer.groups * depth;
  g.a = dy, g.c = rows;
  product_of_weights(steps, f, weight, {}, g, {outputs, outputs * depth, 0, depth}, {1});
  unfold_image(steps, f, rows, dx);
}

// dw = dy^T . rows
void product_backward_weight(Steps& steps, const Fold& f, const float* x, const float* dy, float* dw) {
  const int64_t outputs = f.outer.k / f.outer.groups, depth = f.depth();
  const float* rows = folded_image(steps, f, x);
  float* target = weight_target(steps, f, dw);
  Gemm g = product_gemm(outputs, depth, f.rows());
  g.a_row = 1, g.a_col = f.outer.k;
  g.b_row = f.outer.groups * depth, g.b_col = 1;
  g.c_row = depth;
  g.a = dy, g.c = target;
  for (int64_t group = 0; group < f.outer.groups; ++group)
    steps.add(kernels().gemm->gemm, of_group(g, rows, {outputs, depth, 0, outputs * depth}, group));
  unfold_weight(steps, f, target, dw);
}

}  // namespace fastnn

// What goes before, between and after the walks of a recurrent layer: packs, biases, the products with x, last states.
#pragma once
#include <array>
#include <vector>

#include "contract/gemm.h"
#include "ops/recurrent/layer.h"
#include "ops/steps.h"
#include "runtime/isa.h"

namespace fastnn {

// w_hh of one direction as forward of lstm and gru reads it.
const float* pack_gates(Steps& steps, const Layer& layer, int64_t direction);

// b (k, n) of one product of a step, from the floats of a weight that begin at `first`; no k: no product.
struct PanelPart {
  int64_t first, k, n;
  bool transposed;

  int64_t floats() const;
};
// The packed parts of a weight, one after the other.
const float* pack_panels(Steps& steps, const Weight& weight, const std::array<PanelPart, 2>& parts);
inline const float* pack_panel(Steps& steps, const Weight& weight, const PanelPart& part) {
  return pack_panels(steps, weight, {part, PanelPart{}});
}

// a + b, of which either may be none.
Floats sum_of(Steps& steps, const Floats& a, const Floats& b);

// What can be added before the walk of gru: both biases of r and z, b_in of n and, unless the reset gate multiplies it
// with the product, b_hn.
Floats early_bias(Steps& steps, const Layer& layer, int64_t direction, bool reset_after);

// x . weight_ih^T + bias of one direction, packed, for all rows; c is none.
Gemm projection(Steps& steps, const Layer& layer, int64_t direction, const Floats& bias);

// The products and the walks of all directions in turns, a stretch at a time.
template <class Args>
void walk_in_stretches(Steps& steps, const Layer& layer, const std::vector<Gemm>& projections, std::vector<Args>& walks,
                       const SteppedKernel<Args>& kernel, bool keep) {
  for (int64_t begin = 0; begin < layer.t; begin += layer.stretch_steps()) {
    for (size_t d = 0; d < walks.size(); ++d) {
      walks[d].part = layer.stretch(begin, d, keep);
      const auto [first, last] = layer.stretch_rows(walks[d].part, d);
      Gemm g = projections[d];
      g.m = last - first, g.a += first * g.a_row, g.c = walks[d].gates + (first - walks[d].part.row) * layer.width();
      steps.add(kernels().gemm->gemm, g);
    }
    steps.add(kernel, walks);
  }
}

// The last states of one direction: its part of `out` (D, N, columns) from the rows of `all`, `row` floats apart.
void copy_last(Steps& steps, const Layer& layer, int64_t direction, const float* all, int64_t row, int64_t columns,
               const Output& out);

// carry (D, N, columns) starts as `last`, the gradient of the last states, or zeros: a kernel carries it to the first.
void carry_back(Steps& steps, const Layer& layer, const Floats& last, const char* name, int64_t columns,
                const Output& carry);

}  // namespace fastnn

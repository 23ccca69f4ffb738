// The gradients of a recurrent layer that need no walk: of x, the weights and the biases.
#pragma once
#include <vector>

#include "ops/recurrent/layer.h"
#include "ops/steps.h"

namespace fastnn {

// Where what is wanted goes, none elsewhere: of x, and of the weights in the order of the layer's.
struct Gradients {
  Output x;
  std::vector<Output> weights;
};

// Columns of the gradient of h . weight_hh^T + bias_hh: (rows, columns), rows `row` floats apart. `factor` (rows, P):
// what these columns of the weight are multiplied with; null: h.
struct GatePart {
  const float* data;
  int64_t row, columns;
  const float* factor = nullptr;
};

// c (m, n) = the sum over k of a (k, m) times b (k, n): a gradient of weights, with rows as k.
void product_over_rows(Steps& steps, int64_t k, const float* a, int64_t a_row, int64_t m, const float* b, int64_t b_row,
                       int64_t n, float* c);
void sum_rows(Steps& steps, int64_t rows, const float* x, int64_t x_row, int64_t columns, float* out);

class LayerGradients {
 public:
  LayerGradients(Steps& steps, const Layer& layer, const int64_t* starts, const Gradients& wanted);
  // One direction, from the gradient of its gates (rows, G * H) and, where it is another, that of the hidden product.
  // `biases` (rows, G * H): the gradient to which both biases sum, where it is that of neither.
  void add(int64_t direction, const float* gates, const std::vector<GatePart>& hidden, const float* y, const float* h0,
           const float* biases = nullptr);

 private:
  void input(int64_t direction, const float* gates);
  void hidden_weight(int64_t direction, const std::vector<GatePart>& hidden, const float* y, const float* h0,
                     float* out);

  Steps& steps_;
  const Layer& layer_;
  const int64_t* starts_;
  const Gradients& wanted_;
};

}  // namespace fastnn

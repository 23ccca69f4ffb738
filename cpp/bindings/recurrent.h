// What the bindings of gru, lstm and rnn share: the checked layer, the products before and after the walk. One call is
// a whole layer, in one direction or both. Shapes are checked here, not in Python: for short sequences a check there
// takes longer than the walk.
#pragma once
#include "contract/recurrent.h"
#include "gemm.h"
#include "packed.h"

namespace fastnn {

using State = std::optional<F32>;

// One direction: (G * H, I), (G * H, P), (G * H) or none, (G * H) or none, where h has P features: H unless projected.
// The way back reads ih only for the gradient of x, and no bias: they may be none there.
struct Weights {
  State ih;
  F32 hh;
  State bias_ih, bias_hh;
};

// weight_ih, weight_hh, bias_ih, bias_hh and, where there is a reverse direction, the same again.
using WeightList = std::vector<State>;

// What the way back needs of each direction: gates and a state of every row.
using Kept = std::vector<std::pair<F32, F32>>;

// x: (T, N, I), or packed (rows, I) with batch_sizes (T), how many of the samples, longest first, have step t.
struct Layer {
  Layer(const char* op, int64_t gates, const F32& x, const std::optional<I64>& batch_sizes, const WeightList& weights,
        bool projected = false, bool reads_ih = true);

  const char* op;
  F32 x;
  int64_t t, n, h, p, inputs, gates;
  bool packed;
  std::vector<int64_t> starts;  // (t + 1)
  std::vector<Weights> weights;

  int64_t directions() const { return static_cast<int64_t>(weights.size()); }
  int64_t rows() const { return starts[t]; }
  int64_t width() const { return gates * h; }  // of a row of gates
  int64_t y_row() const { return directions() * p; }
  bool dense() const { return rows() == t * n; }
  Sequence sequence(int64_t direction) const { return {t, n, h, direction == 1, starts.data()}; }
  Shape rows_shape(int64_t columns) const;  // (T, N, columns), or (rows, columns)

  // Data of one direction of a state (D, N, columns), checked; null where there is none.
  const float* state(const State& a, const char* name, int64_t direction, int64_t columns) const;
  const float* state(const State& a, const char* name, int64_t direction) const { return state(a, name, direction, p); }
  // Throws unless `a` is (T, N, columns), or (rows, columns) where packed.
  void require_rows(const F32& a, int64_t columns, const char* name) const;
  // Throws unless it is gates and one state of every row, for every direction.
  void require_kept(const Kept& kept) const;
  // Columns of one direction of the gradient of y, checked; null where there is none.
  const float* gradient_of_y(const State& dy, int64_t direction) const;

  // Gates are made and used a stretch of the walk at a time, while they are in cache.
  int64_t stretch_steps() const;
  Stretch stretch(int64_t begin, int64_t direction, bool keep) const;
  std::pair<int64_t, int64_t> stretch_rows(const Stretch& part, int64_t direction) const;
  int64_t gate_rows(bool keep) const;  // that an array of gates has to hold

  // For every sample the packed row where its walk ends.
  std::vector<int64_t> last_rows(int64_t direction) const;
};

// The packed form of w_hh, made once per value of it. With the GIL.
std::shared_ptr<const Workspace> pack_recurrent(const Layer& layer, const Packing<RecurrentPack>& pack,
                                                int64_t direction);

// x . weight_ih^T + bias of one direction, rows at a time.
class Projection {
 public:
  Projection(const Layer& layer, int64_t direction, const State& bias);  // with the GIL
  void run(int64_t first, int64_t last, float* out) const;

 private:
  State bias_;
  Gemm gemm_;
  std::shared_ptr<const Workspace> packed_;
};

State sum_of(const State& a, const State& b);

// (N, H) of one direction of a new (D, N, H): row rows[r] of `all` for sample r.
void copy_rows(const float* all, int64_t row, const std::vector<int64_t>& rows, int64_t h, float* out);

// A new (D, N, columns) that starts as `last` or zeros: the gradient of the last states, which a kernel carries to the
// first.
F32 carried(const Layer& layer, const State& last, const char* name, int64_t columns);

// Columns of the gradient of h . weight_hh^T + bias_hh: (rows, columns), rows `row` floats apart. `factor` (rows, P):
// what these columns of the weight are multiplied with; null: h.
struct GatePart {
  const float* data;
  int64_t row, columns;
  const float* factor = nullptr;
};

// c (m, n) = the sum over k of a (k, m) times b (k, n): a gradient of weights, with rows as k.
void product_over_rows(int64_t k, const float* a, int64_t a_row, int64_t m, const float* b, int64_t b_row, int64_t n,
                       float* c);

// What is wanted of x and of the weights, in the order of WeightList, and the arrays for it, which are none elsewhere.
class LayerGradients {
 public:
  LayerGradients(const Layer& layer, bool x, const std::vector<bool>& weights);  // with the GIL
  // One direction, from the gradient of its gates (rows, G * H) and, where it is another, that of the hidden product.
  // `biases` (rows, G * H): the gradient to which both biases sum, where it is that of neither.
  void add(int64_t direction, const float* gates, const std::vector<GatePart>& hidden, const float* y, const float* h0,
           const float* biases = nullptr);
  const State& x() const { return dx_; }
  const WeightList& weights() const { return weights_; }

 private:
  void input(int64_t direction, const float* gates);
  void hidden_weight(int64_t direction, const std::vector<GatePart>& hidden, const float* y, const float* h0);

  const Layer& layer_;
  State dx_;
  WeightList weights_;
};

// Products and walks of all directions in turns, a stretch at a time. Without the GIL.
template <class Args>
void run_stretches(const Layer& layer, const std::vector<Projection>& projections, std::vector<Args>& walks,
                   const SteppedKernel<Args>& kernel, bool keep) {
  for (int64_t begin = 0; begin < layer.t; begin += layer.stretch_steps()) {
    for (size_t d = 0; d < walks.size(); ++d) {
      walks[d].part = layer.stretch(begin, d, keep);
      const auto [first, last] = layer.stretch_rows(walks[d].part, d);
      projections[d].run(first, last, const_cast<float*>(walks[d].gates) + (first - walks[d].part.row) * layer.width());
    }
    run_steps_of(kernel, walks.data(), static_cast<int64_t>(walks.size()));
  }
}

}  // namespace fastnn

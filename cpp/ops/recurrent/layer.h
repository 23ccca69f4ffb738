// The checked geometry of a recurrent layer: one call is a whole layer, in one direction or both. Arrays are
// C-contiguous. Holds views only, so it lives as long as one call.
#pragma once
#include <utility>
#include <vector>

#include "contract/recurrent.h"
#include "ops/check.h"
#include "ops/view.h"

namespace fastnn {

// One direction: (G * H, I), (G * H, P), (G * H) or none, (G * H) or none, where h has P features: H unless projected.
// The way back reads ih only for the gradient of x, and no bias: they may be none there.
struct LayerWeights {
  Weight ih, hh;
  Floats bias_ih, bias_hh;
};

// What the way back needs of each direction, as forward leaves it there; no directions: nothing is kept.
using Kept = std::vector<std::vector<Output>>;

// x: (T, N, I), or packed (rows, I) with batch_sizes (T), how many of the samples, longest first, have step t.
// weights: weight_ih, weight_hh, bias_ih, bias_hh and, where there is a reverse direction, the same again.
struct Layer {
  Layer(const char* op, int64_t gates, const Floats& x, const Ints& batch_sizes, const std::vector<Weight>& weights,
        bool projected = false, bool reads_ih = true);

  const char* op;
  Floats x;
  int64_t t, n, h, p, inputs, gates;
  bool packed;
  std::vector<int64_t> starts;  // (t + 1)
  std::vector<LayerWeights> weights;

  int64_t directions() const { return static_cast<int64_t>(weights.size()); }
  int64_t rows() const { return starts[t]; }
  int64_t width() const { return gates * h; }  // of a row of gates
  int64_t y_row() const { return directions() * p; }
  bool dense() const { return rows() == t * n; }
  Sizes rows_shape(int64_t columns) const;  // (T, N, columns), or (rows, columns)
  Sizes state_shape(int64_t columns) const { return {directions(), n, columns}; }
  // Of the weight at that place in the list of a direction.
  Sizes weight_shape(size_t place) const {
    return place < 2 ? Sizes{width(), place == 0 ? inputs : p} : Sizes{width()};
  }
  // Of gates and one state of every row: what most cells keep of a direction.
  std::vector<Sizes> kept_shapes() const { return {{rows(), width()}, {rows(), h}}; }

  // `starts`: the layer's, where they last as long as whatever walks (Steps::lasting).
  Sequence sequence(const int64_t* starts, int64_t direction) const { return {t, n, h, direction == 1, starts}; }

  // Data of one direction of a state (D, N, columns), checked; null where there is none.
  const float* state(const Floats& a, const char* name, int64_t direction, int64_t columns) const;
  const float* state(const Floats& a, const char* name, int64_t direction) const {
    return state(a, name, direction, p);
  }
  // Throws unless `a` is (T, N, columns), or (rows, columns) where packed.
  void check_rows(const Floats& a, int64_t columns, const char* name) const;
  // Throws unless these are the arrays of every direction.
  void check_kept(const Kept& kept, const std::vector<Sizes>& shapes) const;
  // Columns of one direction of the gradient of y, checked; null where there is none.
  const float* gradient_of_y(const Floats& dy, int64_t direction) const;

  // Gates are made and used a stretch of the walk at a time, while they are in cache.
  int64_t stretch_steps() const;
  Stretch stretch(int64_t begin, int64_t direction, bool keep) const;
  std::pair<int64_t, int64_t> stretch_rows(const Stretch& part, int64_t direction) const;
  int64_t gate_rows(bool keep) const;  // that an array of gates has to hold

  // For every sample the packed row where its walk ends.
  std::vector<int64_t> last_rows(int64_t direction) const;
};

}  // namespace fastnn

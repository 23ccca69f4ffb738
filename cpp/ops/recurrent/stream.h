// A stack of recurrent layers that is stepped one sample and one time step at a time. What a step needs is made once:
// packed weights, shared by the streams of a layer, and the state.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "contract/recurrent.h"
#include "ops/packs.h"
#include "ops/recurrent/layer.h"

namespace fastnn {

class RecurrentStream {
 public:
  // layers: weight_ih (G * H, I), weight_hh (G * H, H), and both biases or none; each layer as wide as the first.
  // Throws std::invalid_argument where they do not fit, or there is no such cell.
  RecurrentStream(const std::string& cell, const std::vector<LayerWeights>& layers);
  RecurrentStream(const RecurrentStream& other);
  RecurrentStream& operator=(const RecurrentStream&) = delete;

  int64_t layers() const { return static_cast<int64_t>(steps_.size()); }
  int64_t inputs() const { return steps_.front().layer.inputs; }
  int64_t hidden() const { return steps_.front().layer.h; }
  bool has_c() const { return steps_.front().layer.cell == Cell::lstm; }
  bool is_long() const;  // whether a step takes so long that other threads should run meanwhile

  void step(const float* x, float* y);  // (I), (H): h of the last layer
  // h and c (layers, H); c only of lstm, else null.
  void state(float* h, float* c) const;
  void set_state(const float* h, const float* c);
  void reset();

 private:
  void add_layer(Cell cell, const LayerWeights& weights);
  void make_state();
  int64_t row() const { return (hidden() + kStatePadding - 1) / kStatePadding * kStatePadding; }
  int64_t h_floats() const;
  int64_t state_floats() const;

  const RecurrentKernels& kernels_;  // of the ISA level that the weights are packed for
  std::vector<Pack> packs_;
  std::vector<RecurrentStep> steps_;  // a layer each; the step sets x and before
  int64_t work_ = 0;                  // multiply-adds
  std::unique_ptr<Workspace> state_;  // h of each layer, the next h of any, c of each layer of lstm
  bool zero_ = true;                  // no step yet: h is zero, and its products are left out, as for a sequence
};

}  // namespace fastnn

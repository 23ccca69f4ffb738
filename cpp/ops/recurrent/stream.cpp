#include "ops/recurrent/stream.h"

#include <algorithm>
#include <array>

#include "runtime/isa.h"
#include "runtime/launch.h"

namespace fastnn {
namespace {

constexpr std::array<const char*, 4> kNames{"rnn_relu", "rnn_tanh", "gru", "lstm"};  // in the order of Cell
constexpr std::array<int64_t, 4> kGates{1, 1, 3, 4};
constexpr const char* kOp = "RecurrentStream";

// Multiply-adds of a step, some 10 us.
constexpr int64_t kLongStep = 1 << 18;

Cell cell_of(const std::string& name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (name == kNames[i]) return static_cast<Cell>(i);
  throw std::invalid_argument(std::string(kOp) + ": there is no cell '" + name + "'");
}

void require(const Floats& a, std::initializer_list<int64_t> shape, const char* name) {
  check(has_shape(a, shape), kOp,
        [&] { return name + (" has shape " + text(a)) + ", expected " + text(Sizes(shape)); });
}

}  // namespace

RecurrentStream::RecurrentStream(const std::string& cell, const std::vector<LayerWeights>& layers)
    : kernels_(*kernels().recurrent) {
  check(!layers.empty(), kOp, "there are no layers");
  for (const LayerWeights& weights : layers) add_layer(cell_of(cell), weights);
  make_state();
}

RecurrentStream::RecurrentStream(const RecurrentStream& other)
    : kernels_(other.kernels_), packs_(other.packs_), steps_(other.steps_), work_(other.work_) {
  make_state();
  zero_ = other.zero_;
  std::copy_n(other.state_->data(), state_floats(), state_->data());
}

bool RecurrentStream::is_long() const { return work_ > kLongStep; }

void RecurrentStream::step(const float* x, float* y) {
  const FlushSubnormals flush;  // as whole sequences have it
  float* h = state_->data();
  for (RecurrentStep& s : steps_) {
    s.x = x;
    s.before = zero_ ? nullptr : h;
    launch(kernels_.recurrent_step, s);
    std::copy_n(s.after, row(), h);
    x = h;
    h += row();
  }
  zero_ = false;
  std::copy_n(x, hidden(), y);
}

void RecurrentStream::state(float* h, float* c) const {
  for (int64_t i = 0; i < layers(); ++i) {
    std::copy_n(state_->data() + i * row(), hidden(), h + i * hidden());
    if (c) std::copy_n(state_->data() + h_floats() + i * row(), hidden(), c + i * hidden());
  }
}

void RecurrentStream::set_state(const float* h, const float* c) {
  for (int64_t i = 0; i < layers(); ++i) {
    std::copy_n(h + i * hidden(), hidden(), state_->data() + i * row());
    if (c) std::copy_n(c + i * hidden(), hidden(), state_->data() + h_floats() + i * row());
  }
  zero_ = false;
}

void RecurrentStream::reset() {
  std::fill_n(state_->data(), state_floats(), 0.0f);
  zero_ = true;
}

int64_t RecurrentStream::h_floats() const { return checked_mul(layers() + 1, row()); }
int64_t RecurrentStream::state_floats() const {
  return checked_add(h_floats(), has_c() ? checked_mul(layers(), row()) : 0);
}

void RecurrentStream::add_layer(Cell cell, const LayerWeights& w) {
  check(w.ih.axes == 2, kOp, [&] { return "weight_ih has shape " + text(w.ih) + ", expected 2 dimensions"; });
  check(w.hh.axes == 2, kOp, [&] { return "weight_hh has shape " + text(w.hh) + ", expected 2 dimensions"; });
  const int64_t inputs = w.ih.sizes[1], h = w.hh.sizes[1], rows = checked_mul(kGates[static_cast<int>(cell)], h);
  check(inputs >= 1 && h >= 1, kOp, "input and hidden size must be at least 1");
  check(steps_.empty() || (inputs == hidden() && h == hidden()), kOp, "the layers do not fit each other");
  require(w.ih, {rows, inputs}, "weight_ih");
  require(w.hh, {rows, h}, "weight_hh");
  check(bool(w.bias_ih) == bool(w.bias_hh), kOp, "only one of the two biases is given");
  if (w.bias_ih) require(w.bias_ih, {rows}, "bias_ih");
  if (w.bias_hh) require(w.bias_hh, {rows}, "bias_hh");
  const RecurrentStepPack args{{cell, inputs, h}, w.ih.data, w.hh.data, w.bias_ih.data, w.bias_hh.data};
  const Packing<RecurrentStepPack>& packing = kernels_.recurrent_step_pack;
  packs_.push_back(packed_together(w.hh, {&w.ih, &w.bias_ih, &w.bias_hh},
                                   {reinterpret_cast<intptr_t>(&packing), static_cast<int>(cell), inputs, h},
                                   packing.floats(args), [&](float* packed) { launch(packing, args, packed); }));
  steps_.push_back({args.layer, packs_.back()->data(), nullptr, nullptr, nullptr, nullptr});
  work_ = checked_add(work_, checked_mul(rows, checked_add(inputs, h)));
}

void RecurrentStream::make_state() {
  state_ = std::make_unique<Workspace>(state_floats());
  std::fill_n(state_->data(), state_floats(), 0.0f);
  for (int64_t i = 0; i < layers(); ++i) {
    steps_[i].c = has_c() ? state_->data() + h_floats() + i * row() : nullptr;
    steps_[i].after = state_->data() + layers() * row();
  }
}

}  // namespace fastnn

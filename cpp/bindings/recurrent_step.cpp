// RecurrentStream: a stack of layers that is stepped one sample and one time step at a time. What a step needs is made
// once: packed weights, shared by the streams of a layer, and the state.
#include <array>
#include <numeric>
#include <tuple>

#include "contract/recurrent.h"
#include "packed.h"

namespace fastnn {
namespace {

constexpr std::array<const char*, 4> kNames{"rnn_relu", "rnn_tanh", "gru", "lstm"};  // in the order of Cell
constexpr std::array<int64_t, 4> kGates{1, 1, 3, 4};
constexpr const char* kClass = "RecurrentStream";
constexpr const char* kStep = "Stream.step";

// Multiply-adds of a step, some 10 us, above which other Python threads may run meanwhile.
constexpr int64_t kLongStep = 1 << 18;

using Maybe = std::optional<F32>;
using Weights = std::tuple<F32, F32, Maybe, Maybe>;  // weight_ih, weight_hh, bias_ih, bias_hh

Cell cell_of(const std::string& name) {
  for (size_t i = 0; i < kNames.size(); ++i)
    if (name == kNames[i]) return static_cast<Cell>(i);
  throw py::value_error(std::string(kClass) + ": there is no cell '" + name + "'");
}

void require_array(const F32& a, const Shape& shape, const char* op, const char* name) {
  require_shape(a, shape, op, name);
  require_contiguous(a, op, name);
}

// Set for the length of a C++ scope, also where it is left by an exception.
class Busy {
 public:
  explicit Busy(bool& flag) : flag_(flag) { flag_ = true; }
  ~Busy() { flag_ = false; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  bool& flag_;
};

class RecurrentStream {
 public:
  RecurrentStream(const std::string& cell, const std::vector<Weights>& layers) : kernels_(*kernels().recurrent) {
    require(!layers.empty(), kClass, "there are no layers");
    for (const Weights& weights : layers) add_layer(cell_of(cell), weights);
    make_state();
  }

  RecurrentStream(const RecurrentStream& other)
      : kernels_(other.kernels_), packs_(other.packs_), steps_(other.steps_), work_(other.work_) {
    other.require_idle("Stream.copy");
    make_state();
    zero_ = other.zero_;
    std::copy_n(other.state_->data(), state_floats(), state_->data());
  }

  // None where x has to be converted first.
  py::object step(const py::object& x, const py::object& out) {
    require_idle(kStep);
    if (!py::isinstance<F32>(x)) return py::none();
    const auto in = py::reinterpret_borrow<F32>(x);
    const int64_t inputs = steps_.front().layer.inputs;
    if (in.ndim() != 1 || in.shape(0) != inputs) require_shape(in, {inputs}, kStep, "x");
    if (!is_plain(in)) return py::none();
    py::object y = out.is_none() ? py::object(F32(hidden())) : out;
    float* to = output(y);
    if (work_ > kLongStep) {
      const Busy busy(busy_);
      const py::gil_scoped_release nogil;
      advance(in.data());
    } else {
      advance(in.data());
    }
    std::copy_n(last_h(), hidden(), to);
    return y;
  }

  std::pair<F32, Maybe> state() const {
    require_idle("Stream.state");
    F32 h = copy_of(state_->data());
    return {h, has_c() ? Maybe(copy_of(state_->data() + h_floats())) : Maybe()};
  }

  void set_state(const F32& h, const Maybe& c) {
    const char* op = "Stream.state";
    require_idle(op);
    require(c.has_value() == has_c(), op, has_c() ? "c is missing" : "there is no c");
    const Shape shape{static_cast<py::ssize_t>(steps_.size()), hidden()};
    require_array(h, shape, op, "h");
    if (c) require_array(*c, shape, op, "c");
    assign(h.data(), state_->data());
    if (c) assign(c->data(), state_->data() + h_floats());
    zero_ = false;
  }

  void reset() {
    require_idle("Stream.reset");
    std::fill_n(state_->data(), state_floats(), 0.0f);
    zero_ = true;
  }

 private:
  const RecurrentKernels& kernels_;  // of the ISA level that the weights are packed for
  std::vector<std::shared_ptr<const Workspace>> packs_;
  std::vector<RecurrentStep> steps_;  // a layer each; the step sets x and before
  int64_t work_ = 0;                  // multiply-adds
  std::shared_ptr<Workspace> state_;  // h of each layer, the next h of any, c of each layer of lstm
  bool zero_ = true;                  // no step yet: h is zero, and its products are left out, as for a sequence
  bool busy_ = false;                 // stepping without the GIL

  int64_t hidden() const { return steps_.front().layer.h; }
  bool has_c() const { return steps_.front().layer.cell == Cell::lstm; }
  const float* last_h() const { return state_->data() + (steps_.size() - 1) * row(); }
  int64_t row() const { return (hidden() + kStatePadding - 1) / kStatePadding * kStatePadding; }
  int64_t h_floats() const { return checked_mul(steps_.size() + 1, row()); }
  int64_t state_floats() const { return checked_add(h_floats(), has_c() ? checked_mul(steps_.size(), row()) : 0); }

  void require_idle(const char* op) const {
    if (busy_) throw std::runtime_error(std::string(op) + ": another thread is stepping this stream; give it a copy()");
  }

  void add_layer(Cell cell, const Weights& weights) {
    const auto& [ih, hh, bias_ih, bias_hh] = weights;
    require_ndim(ih, 2, kClass, "weight_ih");
    require_ndim(hh, 2, kClass, "weight_hh");
    const int64_t inputs = ih.shape(1), h = hh.shape(1), rows = checked_mul(kGates[static_cast<int>(cell)], h);
    require(inputs >= 1 && h >= 1, kClass, "input and hidden size must be at least 1");
    require(steps_.empty() || (inputs == hidden() && h == hidden()), kClass, "the layers do not fit each other");
    require_array(ih, {rows, inputs}, kClass, "weight_ih");
    require_array(hh, {rows, h}, kClass, "weight_hh");
    require(bias_ih.has_value() == bias_hh.has_value(), kClass, "only one of the two biases is given");
    if (bias_ih) require_array(*bias_ih, {rows}, kClass, "bias_ih");
    if (bias_hh) require_array(*bias_hh, {rows}, kClass, "bias_hh");
    const RecurrentStepPack args{{cell, inputs, h}, ih.data(), hh.data(), data_or_null(bias_ih), data_or_null(bias_hh)};
    const Packing<RecurrentStepPack>& pack = kernels_.recurrent_step_pack;
    const Floats inputs_view = view(ih), first = view(bias_ih), second = view(bias_hh);
    packs_.push_back(packed_together(weight_view(hh), {&inputs_view, &first, &second},
                                     {static_cast<int>(cell), inputs, h}, pack.floats(args),
                                     [&](float* packed) { launch(pack, args, packed); }));
    steps_.push_back({args.layer, packs_.back()->data(), nullptr, nullptr, nullptr, nullptr});
    work_ = checked_add(work_, checked_mul(rows, checked_add(inputs, h)));
  }

  void make_state() {
    state_ = std::make_shared<Workspace>(state_floats());
    std::fill_n(state_->data(), state_floats(), 0.0f);
    for (size_t i = 0; i < steps_.size(); ++i) {
      steps_[i].c = has_c() ? state_->data() + h_floats() + i * row() : nullptr;
      steps_[i].after = state_->data() + steps_.size() * row();
    }
  }

  // One-dimensional, without gaps and aligned; unlike is_c_contiguous, without an allocation.
  static bool is_plain(const F32& a) {
    return (a.strides(0) == sizeof(float) || a.shape(0) == 1) &&
           reinterpret_cast<uintptr_t>(a.data()) % alignof(float) == 0;
  }

  float* output(const py::object& out) const {
    if (!py::isinstance<F32>(out)) throw py::type_error(std::string(kStep) + ": out must be a float32 array");
    auto array = py::reinterpret_borrow<F32>(out);
    if (array.ndim() != 1 || array.shape(0) != hidden()) require_shape(array, {hidden()}, kStep, "out");
    if (!is_plain(array)) require_contiguous(array, kStep, "out");
    require(array.writeable(), kStep, "out is read-only");
    return array.mutable_data();
  }

  void advance(const float* x) {
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
  }

  F32 copy_of(const float* rows) const {
    F32 copy = empty({static_cast<py::ssize_t>(steps_.size()), hidden()});
    for (size_t i = 0; i < steps_.size(); ++i) std::copy_n(rows + i * row(), hidden(), copy.mutable_data(i));
    return copy;
  }

  void assign(const float* from, float* rows) {
    for (size_t i = 0; i < steps_.size(); ++i) std::copy_n(from + i * hidden(), hidden(), rows + i * row());
  }
};

}  // namespace

void bind_recurrent_step(py::module_& m) {
  py::class_<RecurrentStream>(m, kClass)
      .def(py::init<const std::string&, const std::vector<Weights>&>(), "cell"_a, "layers"_a.noconvert())
      .def("step", &RecurrentStream::step, "x"_a, "out"_a)
      .def("state", &RecurrentStream::state)
      .def("set_state", &RecurrentStream::set_state, "h"_a.noconvert(), "c"_a.noconvert())
      .def("reset", &RecurrentStream::reset)
      .def("copy", [](const RecurrentStream& s) { return RecurrentStream(s); });
}

}  // namespace fastnn

// RecurrentStream: a stack of layers that is stepped one sample and one time step at a time (ops/recurrent/stream.h).
#include "ops/recurrent/stream.h"

#include "arrays.h"
#include "packed.h"

namespace fastnn {
namespace {

constexpr const char* kStep = "Stream.step";

using Maybe = std::optional<F32>;
using Weights = std::tuple<F32, F32, Maybe, Maybe>;  // weight_ih, weight_hh, bias_ih, bias_hh

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

std::vector<LayerWeights> views_of(const std::vector<Weights>& layers) {
  constexpr const char* kOp = "RecurrentStream";
  std::vector<LayerWeights> views;
  for (const auto& [ih, hh, bias_ih, bias_hh] : layers) {
    require_contiguous(ih, kOp, "weight_ih");
    require_contiguous(hh, kOp, "weight_hh");
    if (bias_ih) require_contiguous(*bias_ih, kOp, "bias_ih");
    if (bias_hh) require_contiguous(*bias_hh, kOp, "bias_hh");
    views.push_back({weight_view(ih), weight_view(hh), view(bias_ih), view(bias_hh)});
  }
  return views;
}

// One-dimensional, without gaps and aligned; unlike is_c_contiguous, without an allocation.
bool is_plain(const F32& a) {
  return (a.strides(0) == sizeof(float) || a.shape(0) == 1) &&
         reinterpret_cast<uintptr_t>(a.data()) % alignof(float) == 0;
}

// What Python holds: the stream, and whether a thread is stepping it without the GIL.
class PyStream {
 public:
  PyStream(const std::string& cell, const std::vector<Weights>& layers) : stream_(cell, views_of(layers)) {}
  PyStream(const PyStream& other) : stream_(other.idle("Stream.copy")) {}

  // None where x has to be converted first.
  py::object step(const py::object& x, const py::object& out) {
    idle(kStep);
    if (!py::isinstance<F32>(x)) return py::none();
    const auto in = py::reinterpret_borrow<F32>(x);
    if (in.ndim() != 1 || in.shape(0) != stream_.inputs()) require_shape(in, {stream_.inputs()}, kStep, "x");
    if (!is_plain(in)) return py::none();
    py::object y = out.is_none() ? py::object(F32(stream_.hidden())) : out;
    float* to = target(y);
    if (stream_.is_long()) {
      const Busy busy(busy_);
      const py::gil_scoped_release nogil;
      stream_.step(in.data(), to);
    } else {
      stream_.step(in.data(), to);
    }
    return y;
  }

  std::pair<F32, Maybe> state() const {
    const RecurrentStream& stream = idle("Stream.state");
    F32 h = empty({stream.layers(), stream.hidden()});
    Maybe c;
    if (stream.has_c()) c = empty({stream.layers(), stream.hidden()});
    stream.state(h.mutable_data(), c ? c->mutable_data() : nullptr);
    return {h, c};
  }

  void set_state(const F32& h, const Maybe& c) {
    const char* op = "Stream.state";
    idle(op);
    require(c.has_value() == stream_.has_c(), op, [&] { return stream_.has_c() ? "c is missing" : "there is no c"; });
    const Shape shape{stream_.layers(), stream_.hidden()};
    require_shape(h, shape, op, "h");
    require_contiguous(h, op, "h");
    if (c) require_shape(*c, shape, op, "c"), require_contiguous(*c, op, "c");
    stream_.set_state(h.data(), data_or_null(c));
  }

  void reset() {
    idle("Stream.reset");
    stream_.reset();
  }

 private:
  RecurrentStream stream_;
  bool busy_ = false;

  const RecurrentStream& idle(const char* op) const {
    if (busy_) throw std::runtime_error(std::string(op) + ": another thread is stepping this stream; give it a copy()");
    return stream_;
  }

  float* target(const py::object& out) const {
    if (!py::isinstance<F32>(out)) throw py::type_error(std::string(kStep) + ": out must be a float32 array");
    auto array = py::reinterpret_borrow<F32>(out);
    if (array.ndim() != 1 || array.shape(0) != stream_.hidden()) require_shape(array, {stream_.hidden()}, kStep, "out");
    if (!is_plain(array)) require_contiguous(array, kStep, "out");
    require(array.writeable(), kStep, [] { return "out is read-only"; });
    return array.mutable_data();
  }
};

}  // namespace

void bind_stream(py::module_& m) {
  py::class_<PyStream>(m, "RecurrentStream")
      .def(py::init<const std::string&, const std::vector<Weights>&>(), "cell"_a, "layers"_a.noconvert())
      .def("step", &PyStream::step, "x"_a, "out"_a)
      .def("state", &PyStream::state)
      .def("set_state", &PyStream::set_state, "h"_a.noconvert(), "c"_a.noconvert())
      .def("reset", &PyStream::reset)
      .def("copy", [](const PyStream& s) { return PyStream(s); });
}

}  // namespace fastnn

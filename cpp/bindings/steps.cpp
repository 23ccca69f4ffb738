// _KeptSteps, for the tests of ops/steps.h: what bindings do is kept as steps instead of being done.
#include "steps.h"

#include "arrays.h"

namespace fastnn {
namespace {

thread_local Steps* listener = nullptr;

// The steps of calls(), whose result holds the arrays that they write. What they read is kept alive by `calls`.
class KeptSteps {
 public:
  explicit KeptSteps(py::object calls) : calls_(std::move(calls)), steps_(Steps::Mode::kept) {
    struct Listening {
      explicit Listening(Steps* steps) { listener = steps; }
      ~Listening() { listener = nullptr; }
    } listening(&steps_);
    result_ = calls_();
  }
  const py::object& result() const { return result_; }
  void prepare() const { steps_.prepare(); }
  void run() const { steps_.run(); }

 private:
  py::object calls_;
  py::object result_;
  Steps steps_;
};

}  // namespace

Steps* listening() { return listener; }

void bind_steps(py::module_& m) {
  py::class_<KeptSteps>(m, "_KeptSteps")
      .def(py::init<py::object>(), "calls"_a)
      .def_property_readonly("result", &KeptSteps::result)
      .def("prepare", &KeptSteps::prepare)
      .def("run", &KeptSteps::run);
}

}  // namespace fastnn

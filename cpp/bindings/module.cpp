// fastnn._core: the list of what is bound, one line a file; and here what is no op: ISA level, threads, memory, digests
// of arrays, what measures the machine, optimizer steps.
#include <map>

#include "ops/optimizer.h"
#include "ops/roofline.h"
#include "packed.h"

namespace fastnn {
namespace bound {
namespace {

// Called once at import: packs are forgotten when the array dies that owns their weights.
void watch_arrays() {
  watch_owners([](void* owner) {
    const py::gil_scoped_acquire gil;
    const py::handle array(static_cast<PyObject*>(owner));
    // The weak reference lives until it has called back.
    py::weakref(array, py::cpp_function([owner](py::handle reference) {
                  forget_packs(owner);
                  reference.dec_ref();
                }))
        .release();
  });
}

void set_num_threads(int n) {
  require(n >= 1 && n <= 1024, "set_num_threads", [&] { return "n is " + std::to_string(n) + ", expected 1 to 1024"; });
  fastnn::set_num_threads(n);
}

std::map<std::string, int64_t> memory_stats() {
  const MemoryStats s = fastnn::memory_stats();
  return {{"in_use_bytes", s.in_use_bytes}, {"cached_bytes", s.cached_bytes}, {"peak_bytes", s.peak_bytes}};
}

F32 new_array(const Shape& shape) { return empty(shape); }

F32 new_channels_last(const Shape& s) {
  require(s.size() == 4, "empty_channels_last", [&] { return "shape " + shape_text(s) + " must have 4 dimensions"; });
  return empty_channels_last(s[0], s[1], s[2], s[3]);
}

// Whether each is None or a float32 array that bindings take as it is. Asking is far cheaper than a refused call,
// whose message shows all arguments.
bool are_dense(const py::Args<py::object>& arrays) {
  constexpr int kDense = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return std::all_of(arrays.begin(), arrays.end(), [](const py::handle& a) {
    return a.is_none() || (py::isinstance<F32>(a) && (py::reinterpret_borrow<F32>(a).flags() & kDense) == kDense);
  });
}

// A fingerprint of the bits of x, which is dense in memory in any order of axes; elements of 4 or 8 bytes.
py::bytes digest(const py::array& x) {
  require_dense(x, "digest", "x");
  require(x.itemsize() == 4 || x.itemsize() == 8, "digest",
          [] { return "x has elements of another size than 4 or 8 bytes"; });
  Digest words;
  {
    const py::gil_scoped_release nogil;
    add_digest(static_cast<const float*>(x.data()), x.nbytes() / 4, words);
  }
  return py::bytes(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(words[0]));
}

// Runs tasks * steps rounds of multiply-adds in registers; returns how many floating-point operations those were.
int64_t roofline_peak(int64_t tasks, int64_t steps) {
  require(tasks >= 1 && tasks <= 1 << 20 && steps >= 1 && steps <= int64_t{1} << 32, "roofline_peak",
          [] { return "tasks must be 1 to 2**20 and steps 1 to 2**32"; });
  F32 out = empty({tasks});
  call_op(fastnn::roofline_peak, steps, output(out));
  return roofline_peak_flops(tasks, steps);
}

// y[...] = x[...], both (size), C-contiguous
void roofline_copy(const F32& x, F32& y) {
  require_ndim(x, 1, "roofline_copy", "x");
  require_contiguous(x, "roofline_copy", "x");
  require_fits(y, {x.shape(0)}, "roofline_copy", "y");
  call_op(fastnn::roofline_copy, view(x), output(y));
}

// Flat arrays of optimizers, which change what is not read-only in place.
Output writable(F32& a, py::ssize_t size, const char* op, const char* name) {
  require_contiguous(a, op, name);
  require_shape(a, {size}, op, name);
  if (!a.writeable()) throw py::value_error(std::string(op) + ": " + name + " is read-only");
  return output(a);
}

Floats readable(const F32& a, py::ssize_t size, const char* op, const char* name) {
  require_contiguous(a, op, name);
  require_shape(a, {size}, op, name);
  return view(a);
}

// A step is one call, so an interrupt never leaves half a step. Ranges: (begin, end, options of the rule).
void optimizer_step(const std::string& rule, F32 weight, const F32& grad, std::vector<Maybe>& states,
                    const std::vector<std::tuple<int64_t, int64_t, Numbers>>& ranges) {
  const char* op = rule.c_str();
  const py::ssize_t size = weight.size();
  std::vector<Output> outputs;
  for (Maybe& state : states) {
    static const char* const names[] = {"state 0", "state 1", "state 2"};
    const char* name = outputs.size() < std::size(names) ? names[outputs.size()] : "a state";
    outputs.push_back(state ? writable(*state, size, op, name) : Output());
  }
  std::vector<OptimizerRange> all;
  for (const auto& [begin, end, options] : ranges) all.push_back({begin, end, numbers(options)});
  call_op(fastnn::optimizer_step, rule, all, writable(weight, size, op, "weight"), readable(grad, size, op, "grad"),
          outputs);
}

double sum_squares(const F32& x) {
  require_contiguous(x, "sum_squares", "x");
  double total = 0;
  call_op(fastnn::sum_squares, flat(x), &total);
  return total;
}

}  // namespace
}  // namespace bound

static void bind_runtime(py::module_& m) {
  isa();  // an unknown FASTNN_ISA is an error at import, not at the first call
  install_fork_handler();
  install_pack_fork_handler();
  bound::watch_arrays();
  m.attr("__version__") = FASTNN_VERSION;
  m.def("isa", &isa);
  m.def("available_isas", &available_isas);
  m.def("set_isa", &set_isa, "name"_a);
  m.def("get_num_threads", &get_num_threads);
  m.def("set_num_threads", &bound::set_num_threads, "n"_a);
  m.def("thread_backend", &thread_backend);
  m.def("memory_stats", &bound::memory_stats);
  m.def("clear_cache", &clear_cache);
  m.def("empty", &bound::new_array, "shape"_a);
  m.def("empty_channels_last", &bound::new_channels_last, "shape"_a);
  m.def("are_dense", &bound::are_dense);
  m.def("digest", &bound::digest, "x"_a.noconvert());
  m.def("roofline_copy", &bound::roofline_copy, "x"_a.noconvert(), "y"_a.noconvert());
  m.def("roofline_peak", &bound::roofline_peak, "tasks"_a, "steps"_a);
  m.def("optimizer_step", &bound::optimizer_step, "rule"_a, "weight"_a.noconvert(), "grad"_a.noconvert(),
        "states"_a.noconvert(), "ranges"_a);
  m.def("sum_squares", &bound::sum_squares, "x"_a.noconvert());
}

static void bind_all(py::module_& m) {
  bind_runtime(m);
  // clang-format off
  void bind_dense(py::module_&); bind_dense(m);
  void bind_elementwise(py::module_&); bind_elementwise(m);
  void bind_image(py::module_&); bind_image(m);
  void bind_loss(py::module_&); bind_loss(m);
  void bind_sequence(py::module_&); bind_sequence(m);
  void bind_steps(py::module_&); bind_steps(m);
  void bind_stream(py::module_&); bind_stream(m);
  void bind_tensors(py::module_&); bind_tensors(m);
  // clang-format on
}

}  // namespace fastnn

PYBIND11_MODULE(_core, m) { fastnn::bind_all(m); }

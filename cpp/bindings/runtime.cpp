// ISA level, threads and memory: what is not an op.
#include <map>

#include "packed.h"

namespace fastnn {

void bind_runtime(py::module_& m) {
  isa();  // an unknown FASTNN_ISA is an error at import, not at the first call
  install_fork_handler();
  install_pack_fork_handler();
  watch_arrays();
  m.attr("__version__") = FASTNN_VERSION;
  m.def("isa", &isa);
  m.def("available_isas", &available_isas);
  m.def("set_isa", &set_isa, "name"_a);
  m.def("get_num_threads", &get_num_threads);
  m.def(
      "set_num_threads",
      [](int n) {
        require(n >= 1 && n <= 1024, "set_num_threads", "n is " + std::to_string(n) + ", expected 1 to 1024");
        set_num_threads(n);
      },
      "n"_a);
  m.def("thread_backend", &thread_backend);
  m.def("memory_stats", [] {
    const MemoryStats s = memory_stats();
    return std::map<std::string, int64_t>{
        {"in_use_bytes", s.in_use_bytes}, {"cached_bytes", s.cached_bytes}, {"peak_bytes", s.peak_bytes}};
  });
  m.def("clear_cache", &clear_cache);
  m.def("empty", [](const Shape& shape) { return empty(shape); }, "shape"_a);
  m.def(
      "empty_channels_last",
      [](const Shape& s) {
        require(s.size() == 4, "empty_channels_last", "shape " + shape_text(s) + " must have 4 dimensions");
        return empty_channels_last(s[0], s[1], s[2], s[3]);
      },
      "shape"_a);
  // Whether each is None or a float32 array that bindings take as it is. Asking is far cheaper than a refused call,
  // whose message shows all arguments.
  m.def("are_dense", [](const py::Args<py::object>& arrays) {
    constexpr int kDense = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    return std::all_of(arrays.begin(), arrays.end(), [](const py::handle& a) {
      return a.is_none() || (py::isinstance<F32>(a) && (py::reinterpret_borrow<F32>(a).flags() & kDense) == kDense);
    });
  });
}

}  // namespace fastnn

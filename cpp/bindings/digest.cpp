#include "arrays.h"
#include "ops/packs.h"

namespace fastnn {
namespace {

// A fingerprint of the bits of x, which is dense in memory in any order of axes; elements of 4 or 8 bytes.
py::bytes digest(const py::array& x) {
  require_dense(x, "digest", "x");
  require(x.itemsize() == 4 || x.itemsize() == 8, "digest", "x has elements of another size than 4 or 8 bytes");
  Digest words;
  {
    const py::gil_scoped_release nogil;
    add_digest(static_cast<const float*>(x.data()), x.nbytes() / 4, words);
  }
  return py::bytes(reinterpret_cast<const char*>(words.data()), words.size() * sizeof(words[0]));
}

}  // namespace

void bind_digest(py::module_& m) { m.def("digest", &digest, "x"_a.noconvert()); }

}  // namespace fastnn

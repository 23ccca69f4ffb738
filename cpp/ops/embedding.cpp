#include "ops/embedding.h"

#include "contract/gemm.h"
#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

// The kernels do not look again.
template <class Why>
void check_indices(Steps& steps, const Ints& indices, int64_t least, int64_t rows, Why why) {
  steps.call([=] {
    const int64_t *p = indices.data, *end = p + indices.sizes[0];
    const int64_t* wrong = std::find_if(p, end, [=](int64_t i) { return i < least || i >= rows; });
    if (wrong != end) throw std::out_of_range(why(std::to_string(*wrong)));
  });
}

void check_embedded(Steps& steps, const Ints& indices, int64_t rows) {
  check_indices(steps, indices, 0, rows, [rows](const std::string& index) {
    return "embedding: index " + index + " is outside the table of " + std::to_string(rows) + " rows";
  });
}

}  // namespace

void embedding_forward(Steps& steps, const Ints& indices, const Floats& weight, const Output& y) {
  const int64_t rows = weight.sizes[0];
  check_embedded(steps, indices, rows);
  steps.add(kernels().gemm->embedding_forward,
            Embedding{indices.sizes[0], rows, weight.sizes[1], indices.data, weight.data, y.data});
}

void embedding_backward(Steps& steps, const Ints& indices, const Floats& dy, int64_t skip, const Output& dw) {
  const int64_t count = indices.sizes[0], rows = dw.sizes[0];
  check_embedded(steps, indices, rows);
  checked_mul(checked_add(checked_add(rows, 1), count), 16);  // bytes of its workspace
  steps.add(kernels().gemm->embedding_backward,
            EmbeddingBackward{count, rows, dw.sizes[1], skip, indices.data, dy.data, dw.data, nullptr});
}

void take_rows(Steps& steps, const Floats& x, const Ints& index, const Output& y) {
  const int64_t rows = x.sizes[0];
  check_indices(steps, index, -1, rows,
                [x](const std::string& one) { return "take_rows: index " + one + " is outside x " + text(x); });
  steps.add(kernels().gemm->embedding_forward, Embedding{index.sizes[0], rows, x.sizes[1], index.data, x.data, y.data});
}

}  // namespace fastnn

// What the bindings of gru_variant and lstm_variant share beside recurrent.h: masks, packs and what forward kept.
#pragma once
#include "recurrent.h"

namespace fastnn {

// What forward kept for the way back, of each direction.
using KeptArrays = std::vector<std::vector<F32>>;

// Throws unless `a` has that shape, which `why` asks for, and is C-contiguous.
inline void require_fits(const F32& a, const Shape& shape, const char* op, const std::string& name,
                         const std::string& why) {
  require(shape_of(a) == shape, op,
          name + " has shape " + shape_text(shape_of(a)) + ", but " + why + " expects " + shape_text(shape));
  require_contiguous(a, op, name.c_str());
}

// One direction of a mask (D, rows, columns), or (D, 1, columns) for all rows; checked.
inline Mask mask_of(const Layer& layer, const State& mask, const char* name, int64_t direction, int64_t columns) {
  if (!mask) return {nullptr, 0};
  const int64_t rows = mask->ndim() == 3 && mask->shape(1) == 1 ? 1 : layer.rows();
  require_fits(*mask, {layer.directions(), rows, columns}, layer.op, name,
               "x " + shape_text(shape_of(layer.x)) + " and weight_hh " + shape_text(shape_of(layer.weights[0].hh)));
  return {mask->data() + direction * rows * columns, rows == 1 ? 0 : columns};
}

// b (k, n) of one product of a step, from the floats of a weight that begin at `first`.
struct PackPart {
  int64_t first, k, n;
  bool transposed;

  int64_t floats() const { return kernels().recurrent->step_pack.floats({k, n, transposed, nullptr}); }
};

// The packed parts of a weight, one after the other, made once per value of it. With the GIL.
inline std::shared_ptr<const Workspace> pack_step(const F32& weight, const std::vector<PackPart>& parts) {
  PackKey key{reinterpret_cast<intptr_t>(&kernels().recurrent->step_pack)};
  int64_t floats = 0;
  for (const PackPart& p : parts) {
    key.insert(key.end(), {p.first, p.k, p.n, p.transposed});
    floats += p.floats();
  }
  return packed_together(weight_view(weight), {}, key, floats, [&](float* out) {
    for (const PackPart& p : parts) {
      launch(kernels().recurrent->step_pack, StepPack{p.k, p.n, p.transposed, weight.data() + p.first}, out);
      out += p.floats();
    }
  });
}

inline std::vector<F32> empties(const std::vector<Shape>& shapes) {
  std::vector<F32> arrays;
  for (const Shape& shape : shapes) arrays.push_back(empty(shape));
  return arrays;
}

inline void require_shapes(const KeptArrays& kept, int64_t directions, const std::vector<Shape>& shapes,
                           const char* op) {
  require(static_cast<int64_t>(kept.size()) == directions, op, "expected what forward kept of every direction");
  for (const auto& arrays : kept) {
    require(arrays.size() == shapes.size(), op, "expected all that forward kept");
    for (size_t i = 0; i < shapes.size(); ++i) {
      require_shape(arrays[i], shapes[i], op, "what forward kept");
      require_contiguous(arrays[i], op, "what forward kept");
    }
  }
}

}  // namespace fastnn

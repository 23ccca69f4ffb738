#include "recurrent.h"

#include <algorithm>
#include <functional>

namespace fastnn {
namespace {

constexpr int64_t kStretchFloats = 1 << 18;  // of gates made at a time: 1 MB, which stays in a second-level cache

// Messages are functions: a short sequence takes less time than its error messages.
template <class Why>
void check(bool ok, const char* op, Why why) {
  if (!ok) throw py::value_error(std::string(op) + ": " + why());
}

std::string text(const py::array& a) { return shape_text(shape_of(a)); }

bool has_shape(const py::array& a, std::initializer_list<int64_t> shape) {
  return a.ndim() == static_cast<py::ssize_t>(shape.size()) && std::equal(shape.begin(), shape.end(), a.shape());
}

template <class Why>
void require_array(const F32& a, std::initializer_list<int64_t> shape, const char* op, const char* name, Why why) {
  check(has_shape(a, shape), op, [&] {
    return name + (" has shape " + text(a)) + ", but " + why() + " expects " + shape_text({shape.begin(), shape.end()});
  });
  require_contiguous(a, op, name);
}

constexpr const char* kNames[] = {"weight_ih",         "weight_hh",         "bias_ih",         "bias_hh",
                                  "weight_ih_reverse", "weight_hh_reverse", "bias_ih_reverse", "bias_hh_reverse"};

Weights checked_weights(const WeightList& list, size_t first, int64_t gates, int64_t inputs, bool projected,
                        bool reads_ih, const char* op) {
  const char* const* names = kNames + first;
  for (size_t i = reads_ih ? 0 : 1; i < 2; ++i)
    if (!list[first + i]) throw py::type_error(std::string(op) + ": " + names[i] + " is None, expected an array");
  const State& ih = list[first];
  const F32& hh = *list[first + 1];
  check(!ih || ih->ndim() == 2, op, [&] { return names[0] + (" has shape " + text(*ih)) + ", expected 2 dimensions"; });
  const auto fits = [&] {
    if (hh.ndim() != 2 || hh.shape(1) < 1) return false;
    return projected ? hh.shape(0) >= gates && hh.shape(0) % gates == 0
                     : hh.shape(0) == checked_mul(gates, hh.shape(1));
  };
  check(fits(), op, [&] {
    return names[1] + (" has shape " + text(hh)) + ", expected (" + std::to_string(gates) + " * hidden_size, " +
           (projected ? "proj_size)" : "hidden_size)");
  });
  require_contiguous(hh, op, names[1]);
  if (ih)
    require_array(*ih, {hh.shape(0), inputs}, op, names[0],
                  [&] { return "x with " + std::to_string(inputs) + " features and " + names[1] + " " + text(hh); });
  for (size_t i = 2; i < 4; ++i)
    if (list[first + i])
      require_array(*list[first + i], {hh.shape(0)}, op, names[i], [&] { return names[1] + (" " + text(hh)); });
  return {ih, hh, list[first + 2], list[first + 3]};
}

std::vector<int64_t> checked_starts(const I64& sizes, int64_t rows, const char* op) {
  require_ndim(sizes, 1, op, "batch_sizes");
  require_contiguous(sizes, op, "batch_sizes");
  require(sizes.size() >= 1, op, "batch_sizes is empty, expected at least one time step");
  std::vector<int64_t> starts(1, 0);
  int64_t before = rows;
  for (py::ssize_t t = 0; t < sizes.size(); ++t) {
    const int64_t size = sizes.data()[t];
    require(size >= (t ? 1 : 0) && size <= before, op,
            "batch_sizes must be positive, not rise, and add up to the rows of x");
    starts.push_back(checked_add(starts.back(), size));
    before = size;
  }
  require(starts.back() == rows, op,
          "batch_sizes add up to " + std::to_string(starts.back()) + " but x has " + std::to_string(rows) + " rows");
  return starts;
}

}  // namespace

Layer::Layer(const char* op, int64_t gates, const F32& x, const std::optional<I64>& batch_sizes, const WeightList& list,
             bool projected, bool reads_ih)
    : op(op), x(x), gates(gates), packed(batch_sizes.has_value()) {
  if (packed) {
    check(x.ndim() == 2, op, [&] { return "x has shape " + text(x) + ", expected (rows, input_size)"; });
    starts = checked_starts(*batch_sizes, x.shape(0), op);
    t = static_cast<int64_t>(starts.size()) - 1, n = starts[1];
  } else {
    check(x.ndim() == 3, op, [&] { return "x has shape " + text(x) + ", expected 3 dimensions (T, N, input_size)"; });
    t = x.shape(0), n = x.shape(1);
    check(t >= 1, op, [&] { return "x has shape " + text(x) + ", expected at least one time step"; });
    starts.resize(t + 1);
    for (int64_t i = 0; i <= t; ++i) starts[i] = i * n;
  }
  require_contiguous(x, op, "x");
  inputs = x.shape(x.ndim() - 1);
  require(list.size() == 4 || list.size() == 8, op, "expected the weights of one or two directions");
  for (size_t first = 0; first < list.size(); first += 4)
    weights.push_back(checked_weights(list, first, gates, inputs, projected, reads_ih, op));
  h = weights[0].hh.shape(0) / gates, p = weights[0].hh.shape(1);
  check(has_shape(weights.back().hh, {gates * h, p}), op, [&] {
    return "weight_hh " + text(weights[0].hh) + " and weight_hh_reverse " + text(weights.back().hh) + " differ";
  });
  checked_mul(checked_mul(checked_add(rows(), n), std::max(checked_mul(gates, h), p)), 8);
}

Shape Layer::rows_shape(int64_t columns) const { return packed ? Shape{rows(), columns} : Shape{t, n, columns}; }

const float* Layer::state(const State& a, const char* name, int64_t direction, int64_t columns) const {
  if (!a) return nullptr;
  require_array(*a, {directions(), n, columns}, op, name,
                [&] { return "x " + text(x) + " and weight_hh " + text(weights[0].hh); });
  return a->data() + direction * n * columns;
}

void Layer::require_rows(const F32& a, int64_t columns, const char* name) const {
  const auto why = [&] { return "x " + text(x); };
  if (packed)
    require_array(a, {rows(), columns}, op, name, why);
  else
    require_array(a, {t, n, columns}, op, name, why);
}

void Layer::require_kept(const Kept& kept) const {
  require(static_cast<int64_t>(kept.size()) == directions(), op, "expected what forward kept of every direction");
  for (const auto& [gates, state] : kept) {
    require_array(gates, {rows(), width()}, op, "gates", [&] { return "x " + text(x); });
    require_array(state, {rows(), h}, op, "the kept state", [&] { return "x " + text(x); });
  }
}

const float* Layer::gradient_of_y(const State& dy, int64_t direction) const {
  if (!dy) return nullptr;
  require_rows(*dy, y_row(), "dy");
  return dy->data() + direction * p;
}

int64_t Layer::stretch_steps() const {
  return std::clamp<int64_t>(kStretchFloats / std::max<int64_t>(1, n * width()), 1, t);
}

Stretch Layer::stretch(int64_t begin, int64_t direction, bool keep) const {
  Stretch part{begin, std::min(t, begin + stretch_steps()), 0};
  if (!keep) part.row = stretch_rows(part, direction).first;
  return part;
}

std::pair<int64_t, int64_t> Layer::stretch_rows(const Stretch& part, int64_t direction) const {
  if (direction == 1) return {starts[t - part.end], starts[t - part.begin]};
  return {starts[part.begin], starts[part.end]};
}

int64_t Layer::gate_rows(bool keep) const { return keep ? rows() : std::min(rows(), stretch_steps() * n); }

std::vector<int64_t> Layer::last_rows(int64_t direction) const {
  std::vector<int64_t> last(n);
  for (int64_t r = 0; r < n; ++r) last[r] = r;  // at time 0
  if (direction == 1) return last;
  for (int64_t time = 0, sample = n; time < t; ++time)
    for (const int64_t next = time + 1 < t ? starts[time + 2] - starts[time + 1] : 0; sample > next;)
      --sample, last[sample] = starts[time] + sample;
  return last;
}

std::shared_ptr<const Workspace> pack_recurrent(const Layer& layer, const Packing<RecurrentPack>& pack,
                                                int64_t direction) {
  const F32& weight = layer.weights[direction].hh;
  const RecurrentPack args{layer.h, weight.data()};
  const PackKey key{layer.h, reinterpret_cast<intptr_t>(&pack)};
  return packed_together(weight_view(weight), {}, key, pack.floats(args), [&](float* out) { launch(pack, args, out); });
}

Projection::Projection(const Layer& layer, int64_t direction, const State& bias) : bias_(bias), gemm_{} {
  const F32& w = *layer.weights[direction].ih;
  gemm_.batch = 1, gemm_.m = layer.rows(), gemm_.n = layer.width(), gemm_.k = layer.inputs;
  gemm_.a = layer.x.data(), gemm_.a_row = layer.inputs, gemm_.a_col = 1;
  gemm_.b = w.data(), gemm_.b_row = 1, gemm_.b_col = layer.inputs;
  gemm_.c_row = layer.width();
  gemm_.bias = data_or_null(bias_);
  const Packing<Gemm>& pack = kernels().gemm->gemm_pack;
  const int64_t floats = pack.floats(gemm_);
  if (layer.rows() == 0) return;
  const Floats start = view(bias_);
  packed_ = packed_together(weight_view(w), {&start}, {gemm_.n, gemm_.k, gemm_.b_row, gemm_.b_col}, floats,
                            [&](float* out) { launch(pack, gemm_, out); });
  gemm_.packed = packed_->data();
}

void Projection::run(int64_t first, int64_t last, float* out) const {
  Gemm g = gemm_;
  g.m = last - first, g.a += first * g.a_row, g.c = out;
  launch(kernels().gemm->gemm, g);
}

State sum_of(const State& a, const State& b) {
  if (!a || !b) return a ? a : b;
  F32 sum = empty({a->size()});
  const float *x = a->data(), *y = b->data();
  std::transform(x, x + a->size(), y, sum.mutable_data(), std::plus<float>());
  return sum;
}

void copy_rows(const float* all, int64_t row, const std::vector<int64_t>& rows, int64_t h, float* out) {
  for (const int64_t r : rows) out = std::copy(all + r * row, all + r * row + h, out);
}

F32 carried(const Layer& layer, const State& last, const char* name, int64_t columns) {
  const float* from = layer.state(last, name, 0, columns);
  F32 carry = empty({layer.directions(), layer.n, columns});
  float* to = carry.mutable_data();
  if (from)
    std::copy(from, from + carry.size(), to);
  else
    std::fill(to, to + carry.size(), 0.0f);
  return carry;
}

}  // namespace fastnn

#include "ops/recurrent/layer.h"

#include <algorithm>

#include "runtime/memory.h"

namespace fastnn {
namespace {

constexpr int64_t kStretchFloats = 1 << 18;  // of gates made at a time: 1 MB, which stays in a second-level cache

constexpr const char* kNames[] = {"weight_ih",         "weight_hh",         "bias_ih",         "bias_hh",
                                  "weight_ih_reverse", "weight_hh_reverse", "bias_ih_reverse", "bias_hh_reverse"};

LayerWeights checked_weights(const std::vector<Weight>& list, size_t first, int64_t gates, int64_t inputs,
                             bool projected, bool reads_ih, const char* op) {
  const char* const* names = kNames + first;
  for (size_t i = reads_ih ? 0 : 1; i < 2; ++i)
    check(bool(list[first + i]), op, [&] { return names[i] + std::string(" is missing"); });
  const Weight &ih = list[first], &hh = list[first + 1];
  check(!ih || ih.axes == 2, op, [&] { return names[0] + (" has shape " + text(ih)) + ", expected 2 dimensions"; });
  const auto fits = [&] {
    if (hh.axes != 2 || hh.sizes[1] < 1) return false;
    return projected ? hh.sizes[0] >= gates && hh.sizes[0] % gates == 0
                     : hh.sizes[0] == checked_mul(gates, hh.sizes[1]);
  };
  check(fits(), op, [&] {
    return names[1] + (" has shape " + text(hh)) + ", expected (" + std::to_string(gates) + " * hidden_size, " +
           (projected ? "proj_size)" : "hidden_size)");
  });
  if (ih)
    check_shape(ih, {hh.sizes[0], inputs}, op, names[0],
                [&] { return "x with " + std::to_string(inputs) + " features and " + names[1] + " " + text(hh); });
  for (size_t i = 2; i < 4; ++i)
    if (list[first + i])
      check_shape(list[first + i], {hh.sizes[0]}, op, names[i], [&] { return names[1] + (" " + text(hh)); });
  return {ih, hh, list[first + 2], list[first + 3]};
}

std::vector<int64_t> checked_starts(const Ints& sizes, int64_t rows, const char* op) {
  check(sizes.axes == 1, op, [&] { return "batch_sizes has shape " + text(sizes) + ", expected 1 dimensions"; });
  check(sizes.sizes[0] >= 1, op, "batch_sizes is empty, expected at least one time step");
  std::vector<int64_t> starts(1, 0);
  int64_t before = rows;
  for (int64_t t = 0; t < sizes.sizes[0]; ++t) {
    const int64_t size = sizes.data[t];
    check(size >= (t ? 1 : 0) && size <= before, op,
          "batch_sizes must be positive, not rise, and add up to the rows of x");
    starts.push_back(checked_add(starts.back(), size));
    before = size;
  }
  check(starts.back() == rows, op, [&] {
    return "batch_sizes add up to " + std::to_string(starts.back()) + " but x has " + std::to_string(rows) + " rows";
  });
  return starts;
}

}  // namespace

Layer::Layer(const char* op, int64_t gates, const Floats& x, const Ints& batch_sizes, const std::vector<Weight>& list,
             bool projected, bool reads_ih)
    : op(op), x(x), gates(gates), packed(batch_sizes) {
  if (packed) {
    check(x.axes == 2, op, [&] { return "x has shape " + text(x) + ", expected (rows, input_size)"; });
    starts = checked_starts(batch_sizes, x.sizes[0], op);
    t = static_cast<int64_t>(starts.size()) - 1, n = starts[1];
  } else {
    check(x.axes == 3, op, [&] { return "x has shape " + text(x) + ", expected 3 dimensions (T, N, input_size)"; });
    t = x.sizes[0], n = x.sizes[1];
    check(t >= 1, op, [&] { return "x has shape " + text(x) + ", expected at least one time step"; });
    starts.resize(t + 1);
    for (int64_t i = 0; i <= t; ++i) starts[i] = i * n;
  }
  inputs = x.sizes[x.axes - 1];
  check(list.size() == 4 || list.size() == 8, op, "expected the weights of one or two directions");
  for (size_t first = 0; first < list.size(); first += 4)
    weights.push_back(checked_weights(list, first, gates, inputs, projected, reads_ih, op));
  h = weights[0].hh.sizes[0] / gates, p = weights[0].hh.sizes[1];
  check(has_shape(weights.back().hh, {gates * h, p}), op, [&] {
    return "weight_hh " + text(weights[0].hh) + " and weight_hh_reverse " + text(weights.back().hh) + " differ";
  });
  checked_mul(checked_mul(checked_add(rows(), n), std::max(checked_mul(gates, h), p)), 8);
}

Sizes Layer::rows_shape(int64_t columns) const { return packed ? Sizes{rows(), columns} : Sizes{t, n, columns}; }

const float* Layer::state(const Floats& a, const char* name, int64_t direction, int64_t columns) const {
  if (!a) return nullptr;
  check_shape(a, {directions(), n, columns}, op, name,
              [&] { return "x " + text(x) + " and weight_hh " + text(weights[0].hh); });
  return a.data + direction * n * columns;
}

void Layer::check_rows(const Floats& a, int64_t columns, const char* name) const {
  const auto why = [&] { return "x " + text(x); };
  if (packed)
    check_shape(a, {rows(), columns}, op, name, why);
  else
    check_shape(a, {t, n, columns}, op, name, why);
}

void Layer::check_kept(const Kept& kept, const std::vector<Sizes>& shapes) const {
  check(static_cast<int64_t>(kept.size()) == directions(), op, "expected what forward kept of every direction");
  for (const std::vector<Output>& arrays : kept) {
    check(arrays.size() == shapes.size(), op, "expected all that forward kept");
    for (size_t i = 0; i < shapes.size(); ++i)
      check_shape(arrays[i], {shapes[i][0], shapes[i][1]}, op, "what forward kept", [&] { return "x " + text(x); });
  }
}

const float* Layer::gradient_of_y(const Floats& dy, int64_t direction) const {
  if (!dy) return nullptr;
  check_rows(dy, y_row(), "dy");
  return dy.data + direction * p;
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

}  // namespace fastnn

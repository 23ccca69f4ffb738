#include "ops/recurrent/gradients.h"

#include <algorithm>

#include "contract/gemm.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

// h before every row of the walk, (rows, columns): y of the step before, or h0 (null: zeros).
void gather_before(const Sequence& s, int64_t columns, const float* y, int64_t y_row, const float* h0, float* out) {
  for (int64_t time = 0; time < s.t; ++time) {
    const int64_t before = s.reverse ? time + 1 : time - 1;
    const int64_t old = before < 0 || before >= s.t ? 0 : s.starts[before + 1] - s.starts[before];
    for (int64_t r = 0; r < s.starts[time + 1] - s.starts[time]; ++r, out += columns) {
      const float* from = r < old ? y + (s.starts[before] + r) * y_row : h0 ? h0 + r * columns : nullptr;
      if (from)
        std::copy(from, from + columns, out);
      else
        std::fill(out, out + columns, 0.0f);
    }
  }
}

}  // namespace

void product_over_rows(Steps& steps, int64_t k, const float* a, int64_t a_row, int64_t m, const float* b, int64_t b_row,
                       int64_t n, float* c) {
  Gemm g{};
  g.batch = 1, g.m = m, g.n = n, g.k = k;
  g.a = a, g.a_row = 1, g.a_col = a_row;
  g.b = b, g.b_row = b_row, g.b_col = 1;
  g.c = c, g.c_row = n;
  steps.add(kernels().gemm->gemm, g);
}

void sum_rows(Steps& steps, int64_t rows, const float* x, int64_t x_row, int64_t columns, float* out) {
  steps.add(kernels().gemm->sum_rows, SumRows{rows, columns, x_row, x, out, nullptr});
}

LayerGradients::LayerGradients(Steps& steps, const Layer& layer, const int64_t* starts, const Gradients& wanted)
    : steps_(steps), layer_(layer), starts_(starts), wanted_(wanted) {
  check(static_cast<int64_t>(wanted.weights.size()) == 4 * layer.directions(), layer.op,
        "expected a place for every weight");
  check(!wanted.x || bool(layer.weights[0].ih), layer.op, "weight_ih is missing");
}

void LayerGradients::add(int64_t direction, const float* gates, const std::vector<GatePart>& hidden, const float* y,
                         const float* h0, const float* biases) {
  const int64_t rows = layer_.rows(), width = layer_.width();
  const Output* w = wanted_.weights.data() + 4 * direction;
  if (wanted_.x) input(direction, gates);
  if (w[0])
    product_over_rows(steps_, rows, gates, width, width, layer_.x.data, layer_.inputs, layer_.inputs, w[0].data);
  if (w[1]) hidden_weight(direction, hidden, y, h0, w[1].data);
  if (w[2]) sum_rows(steps_, rows, biases ? biases : gates, width, width, w[2].data);
  if (!w[3]) return;
  float* out = w[3].data;
  if (biases) return sum_rows(steps_, rows, biases, width, width, out);
  for (const GatePart& part : hidden) {
    sum_rows(steps_, rows, part.data, part.row, part.columns, out);
    out += part.columns;
  }
}

void LayerGradients::input(int64_t direction, const float* gates) {
  Gemm g{};
  g.batch = 1, g.m = layer_.rows(), g.n = layer_.inputs, g.k = layer_.width();
  g.a = gates, g.a_row = g.k, g.a_col = 1;
  g.b = layer_.weights[direction].ih.data, g.b_row = g.n, g.b_col = 1;
  g.c = wanted_.x.data, g.c_row = g.n;
  if (direction == 0) return steps_.add(kernels().gemm->gemm, g);
  const int64_t size = g.m * g.n;
  const float* part = g.c = steps_.room(size);
  steps_.add(kernels().gemm->gemm, g);
  steps_.call([dx = wanted_.x.data, part, size] {
    for (int64_t i = 0; i < size; ++i) dx[i] += part[i];
  });
}

void LayerGradients::hidden_weight(int64_t direction, const std::vector<GatePart>& hidden, const float* y,
                                   const float* h0, float* out) {
  const Sequence s = layer_.sequence(starts_, direction);
  const int64_t p = layer_.p, rows = layer_.rows(), y_row = layer_.y_row();
  const bool shifted = layer_.dense() && !h0;  // then h before is y, a step apart, and the first step adds nothing
  float* gathered = shifted ? nullptr : steps_.room(rows * p);
  if (!shifted) steps_.call([=] { gather_before(s, p, y, y_row, h0, gathered); });
  for (const GatePart& part : hidden) {
    if (part.factor) {
      product_over_rows(steps_, rows, part.data, part.row, part.columns, part.factor, p, p, out);
    } else if (shifted) {
      const float *later = part.data + (s.reverse ? 0 : s.n * part.row), *before = y + (s.reverse ? s.n * y_row : 0);
      product_over_rows(steps_, (s.t - 1) * s.n, later, part.row, part.columns, before, y_row, p, out);
    } else {
      product_over_rows(steps_, rows, part.data, part.row, part.columns, gathered, p, p, out);
    }
    out += part.columns * p;
  }
}

}  // namespace fastnn

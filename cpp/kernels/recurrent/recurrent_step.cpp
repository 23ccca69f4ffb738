// recurrent_step: one time step of one sample through one layer; both weights and the biases lie packed in one block.
//   packed: [panel][biases][k = inputs, then h][gate][vectors][kLanes], a panel being some vectors of hidden units
// A panel is as wide as gives about eight independent sums, enough to hide the latency of a multiply-add; that of gru
// has a second bias of the new state, which the reset gate multiplies. Each sum is the chain of multiply-adds that gemm
// and the kernel of the whole sequence make of it (bias, then x, then h, in the order of k): the same bits.
#include "contract/recurrent.h"
#include "core/math.h"
#include "panel.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

static_assert(kStatePadding % kLanes == 0);

constexpr int64_t kTeamWork = 1 << 20;  // multiply-adds of a layer that are worth waking other threads for: 45 us

constexpr int64_t gates_of(Cell cell) { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }
constexpr int64_t biases_of(Cell cell) { return cell == Cell::gru ? 4 : gates_of(cell); }
constexpr int widest(Cell cell) { return cell == Cell::lstm ? 2 : cell == Cell::gru ? 3 : 8; }

int64_t panels_of(const RecurrentLayer& l) { return panels_of(l.h, widest(l.cell)); }
int64_t panel_vector(const RecurrentLayer& l, int64_t panel) { return panel_vector(l.h, panel, widest(l.cell)); }
int64_t vector_floats(const RecurrentLayer& l) {
  return kLanes * (biases_of(l.cell) + gates_of(l.cell) * (l.inputs + l.h));
}

int64_t packed_floats(const RecurrentStepPack& a) { return vectors_of(a.layer.h) * vector_floats(a.layer); }

// out[p * width + lane] = w[lane * k + p] for lane < valid, zero for the others.
void pack_vector(const float* w, int64_t k, int64_t valid, float* out, int64_t width) {
  for (int64_t p = 0; p < k; ++p)
    for (int64_t lane = 0; lane < kLanes; ++lane) out[p * width + lane] = lane < valid ? w[lane * k + p] : 0.0f;
}

// What the sum of a gate starts from. Only one bias of the new state of gru can be added before the product with h.
float first_bias(const RecurrentStepPack& a, int64_t gate, int64_t unit) {
  const int64_t at = gate * a.layer.h + unit;
  if (!a.bias_ih) return 0.0f;
  return a.layer.cell == Cell::gru && gate == 2 ? a.bias_ih[at] : a.bias_ih[at] + a.bias_hh[at];
}

void pack_biases(const RecurrentStepPack& a, int64_t unit, float* out, int64_t gate_floats) {
  const int64_t gates = gates_of(a.layer.cell);
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    const bool valid = unit + lane < a.layer.h;
    for (int64_t g = 0; g < gates; ++g) out[g * gate_floats + lane] = valid ? first_bias(a, g, unit + lane) : 0.0f;
    if (a.layer.cell == Cell::gru)
      out[3 * gate_floats + lane] = valid && a.bias_hh ? a.bias_hh[2 * a.layer.h + unit + lane] : 0.0f;
  }
}

int64_t pack_tasks(const RecurrentStepPack& a) { return panels_of(a.layer); }

void pack(const RecurrentStepPack& a, int64_t begin, int64_t end, float* packed) {
  const RecurrentLayer& l = a.layer;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel_vector(l, panel), vectors = panel_vector(l, panel + 1) - first;
    const int64_t gate_floats = vectors * kLanes, row = gates_of(l.cell) * gate_floats;
    float* biases = packed + first * vector_floats(l);
    float* rows = biases + biases_of(l.cell) * gate_floats;
    for (int64_t v = 0; v < vectors; ++v) {
      const int64_t unit = (first + v) * kLanes, valid = min64(kLanes, l.h - unit);
      pack_biases(a, unit, biases + v * kLanes, gate_floats);
      for (int64_t g = 0; g < gates_of(l.cell); ++g) {
        float* out = rows + g * gate_floats + v * kLanes;
        pack_vector(a.weight_ih + (g * l.h + unit) * l.inputs, l.inputs, valid, out, row);
        pack_vector(a.weight_hh + (g * l.h + unit) * l.h, l.h, valid, out + l.inputs * row, row);
      }
    }
  }
}

template <int A>
[[gnu::always_inline]] inline void add_inputs(vf (&acc)[1][A], const RecurrentStep& s, const float* rows) {
  multiply_add(acc, s.x, 0, 1, rows, A * kLanes, s.layer.inputs);
}
template <int A>
[[gnu::always_inline]] inline void add_hidden(vf (&acc)[1][A], const RecurrentStep& s, const float* rows) {
  multiply_add(acc, s.before, 0, 1, rows + s.layer.inputs * A * kLanes, A * kLanes, s.before ? s.layer.h : 0);
}

// The sums go through memory, so that the loop over what follows need not be unrolled for them to stay in registers.
template <int V>
[[gnu::noinline]] void rnn_panel(const RecurrentStep& s, const float* panel, int64_t unit) {
  vf acc[1][V];
  start_tile(acc, panel);
  add_inputs(acc, s, panel + V * kLanes);
  add_hidden(acc, s, panel + V * kLanes);
  float* after = s.after + unit;
  store_tile(acc, after, 0, V * kLanes);
  const bool relu = s.layer.cell == Cell::rnn_relu;
#pragma GCC unroll 1
  for (int v = 0; v < V; ++v) {
    const vf z = load(after + v * kLanes);
    store(after + v * kLanes, relu ? (z < vf{} ? vf{} : z) : tanh(z));
  }
}

template <int V>
[[gnu::noinline]] void gru_panel(const RecurrentStep& s, const float* panel, int64_t unit) {
  vf acc[1][3 * V];
  start_tile(acc, panel);
  add_inputs(acc, s, panel + 4 * V * kLanes);
  float z[4 * V][kLanes];  // reset, update, what the reset gate multiplies, what is added to that
#pragma GCC unroll 16
  for (int v = 0; v < V; ++v) {
    store(z[3 * V + v], acc[0][2 * V + v]);
    acc[0][2 * V + v] = load(panel + (3 * V + v) * kLanes);
  }
  add_hidden(acc, s, panel + 4 * V * kLanes);
  store_tile(acc, z[0], 0, 3 * V * kLanes);
#pragma GCC unroll 1
  for (int v = 0; v < V; ++v) {
    const vf reset = sigmoid(load(z[v])), update = sigmoid(load(z[V + v]));
    const vf fresh = tanh(fma(reset, load(z[2 * V + v]), load(z[3 * V + v])));
    const vf before = s.before ? load(s.before + unit + v * kLanes) : vf{};
    store(s.after + unit + v * kLanes, fma(update, before - fresh, fresh));
  }
}

template <int V>
[[gnu::noinline]] void lstm_panel(const RecurrentStep& s, const float* panel, int64_t unit) {
  vf acc[1][4 * V];
  start_tile(acc, panel);
  add_inputs(acc, s, panel + 4 * V * kLanes);
  add_hidden(acc, s, panel + 4 * V * kLanes);
  float z[4 * V][kLanes];
  store_tile(acc, z[0], 0, 4 * V * kLanes);
  float *c = s.c + unit, *after = s.after + unit;
#pragma GCC unroll 1
  for (int v = 0; v < V; ++v, c += kLanes, after += kLanes) {
    const vf in = sigmoid(load(z[v])), forget = sigmoid(load(z[V + v])), cell = tanh(load(z[2 * V + v])),
             out = sigmoid(load(z[3 * V + v]));
    const vf next = fma(forget, load(c), in * cell);
    store(c, next);
    store(after, out * tanh(next));
  }
}

// A width as a type: f(Rows<vectors>{}) for 1 <= vectors <= Most.
template <int Most, class F>
[[gnu::always_inline]] inline void with_width(int64_t vectors, F f) {
  if constexpr (Most > 1)
    if (vectors < Most) return with_width<Most - 1>(vectors, f);
  f(Rows<Most>{});
}

int64_t tasks(const RecurrentStep& s) {
  const RecurrentLayer& l = s.layer;
  return gates_of(l.cell) * l.h * (l.inputs + l.h) < kTeamWork ? 1 : panels_of(l);
}

void run(const RecurrentStep& s, int64_t begin, int64_t end, float*) {
  const RecurrentLayer& l = s.layer;
  const int64_t panels = panels_of(l) / tasks(s);  // to a task: one, or all
  for (int64_t panel = panels * begin; panel < panels * end; ++panel) {
    const int64_t first = panel_vector(l, panel), vectors = panel_vector(l, panel + 1) - first, unit = first * kLanes;
    const float* packed = s.packed + first * vector_floats(l);
    switch (l.cell) {
      case Cell::rnn_relu:
      case Cell::rnn_tanh:
        with_width<widest(Cell::rnn_tanh)>(vectors, [&](auto v) { rnn_panel<decltype(v)::value>(s, packed, unit); });
        break;
      case Cell::gru:
        with_width<widest(Cell::gru)>(vectors, [&](auto v) { gru_panel<decltype(v)::value>(s, packed, unit); });
        break;
      case Cell::lstm:
        with_width<widest(Cell::lstm)>(vectors, [&](auto v) { lstm_panel<decltype(v)::value>(s, packed, unit); });
        break;
    }
  }
}

}  // namespace

void add_recurrent_step(RecurrentKernels& k) {
  k.recurrent_step_pack = {packed_floats, pack_tasks, pack};
  k.recurrent_step = {{{tasks, nullptr, run}}};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

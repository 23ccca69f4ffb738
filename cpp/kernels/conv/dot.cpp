// conv2d forward and backward_input where outputs are few and the channels of the source fill vectors: the lanes are
// source channels, which are neighbours in memory already, and an output is the sum over the lanes of what gathered
// there. Filters are packed [bias][ty][tx][depth / kLanes][output][lane].
#include "algorithms.h"
#include "backward_input.h"
#include "core/transpose.h"
#include "forward.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kMaxDots = kLanes / 2;  // outputs of a pixel: more would half fill the lanes of direct.cpp

// Where the filter of output 0 for row (tap * depth + d) is packed; the next output's is kLanes further.
inline int64_t dot_index(int64_t row, int64_t outputs) { return row / kLanes * kLanes * outputs + row % kLanes; }

// R outputs of P neighbouring pixels, P as the registers allow: R * P sums, R filters, one vector of source.
constexpr int dot_pixels(int r) {
  const int fits = (static_cast<int>(kRegisters) - 2 - r) / r;
  return fits < 1 ? 1 : fits < 8 ? fits : 8;
}

// A vector of R filters for every vector of depth and pixel: `count` of them, from `source` and `packed` on.
template <int R, int P>
[[gnu::always_inline]] inline void dot_run(vf (&acc)[P * R], const float* source, int64_t pixel, const float* packed,
                                           int64_t count) {
  RowPointers<P> at(source, pixel);
  for (int64_t d = 0; d < count; ++d, packed += R * kLanes) {
    vf w[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      w[r] = load(packed + r * kLanes);
      keep(w[r]);
    }
#pragma GCC unroll 8
    for (int q = 0; q < P; ++q) {
      vf x = load(at.at[q / 3] + q % 3 * pixel);
      keep(x);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) acc[q * R + r] = fma(x, w[r], acc[q * R + r]);
    }
    at.advance(kLanes);
  }
}

// The sums over the lanes.
template <int R, int P>
[[gnu::always_inline]] inline void store_dots(const vf (&acc)[P * R], const float* bias, float* out, int64_t pixel) {
  float sums[kSums<P * R>];
  sum_all_lanes(acc, sums);
  for (int q = 0; q < P; ++q)
    for (int r = 0; r < R; ++r) out[q * pixel + r] = bias ? sums[q * R + r] + bias[r] : sums[q * R + r];
}

template <int R, int P>
[[gnu::noinline]] void dot_tile(const Pass& p, Range rows, Range cols, const float* source, const float* bias,
                                const float* packed, float* out) {
  vf acc[P * R] = {};
  // As in pass_tile of direct.cpp: neighbouring taps of a row are one long run.
  const bool joined = p.tap_w * p.source_pixel == p.depth;
  const int64_t runs = joined ? min64(1, cols.last - cols.first) : cols.last - cols.first;
  const int64_t length = joined ? (cols.last - cols.first) * p.depth : p.depth;
  for (int64_t ty = rows.first; ty < rows.last; ++ty) {
    const float* x = source + ty * p.tap_h * p.source_row + cols.first * p.tap_w * p.source_pixel;
    const float* w = packed + (ty * p.taps_w + cols.first) * p.depth * R;
    for (int64_t run = 0; run < runs; ++run, w += length * R)
      dot_run<R, P>(acc, x + run * p.tap_w * p.source_pixel, p.move_w * p.source_pixel, w, length / kLanes);
  }
  store_dots<R, P>(acc, bias, out, p.out_pixel);
}

// A pass for at most kMaxDots outputs and a depth that fills its vectors;
// packed: [bias] if biased, then the filters.
[[gnu::noinline]] void run_dot_pass(const Pass& p, const float* source, const float* packed, float* out, int64_t rows,
                                    int64_t cols) {
  const float* bias = p.biased ? packed : nullptr;
  const float* weights = packed + (p.biased ? kLanes : 0);
  with_rows(p.outputs, [&](auto height) {
    constexpr int R = decltype(height)::value;
    if constexpr (R <= kMaxDots) {
      constexpr int P = dot_pixels(R), half = (P + 1) / 2;
      for (int64_t i = 0; i < rows; ++i) {
        const Range ty = row_taps(p, i, i);
        const float* from = source + i * p.move_h * p.source_row;
        float* to = out + i * p.out_row;
        int64_t j = 0;
        const auto tiles = [&](auto pixels) __attribute__((always_inline)) {
          constexpr int N = decltype(pixels)::value;
          for (; cols >= N && j < cols; j += N) {
            j = min64(j, cols - N);  // the last tile computes some pixels once more
            dot_tile<R, N>(p, ty, col_taps(p, j, j + N - 1), from + j * p.move_w * p.source_pixel, bias, weights,
                           to + j * p.out_pixel);
          }
        };
        tiles(Rows<P>{});
        if constexpr (half > 1) tiles(Rows<half>{});
        for (; j < cols; ++j)
          dot_tile<R, 1>(p, ty, col_taps(p, j, j), from + j * p.move_w * p.source_pixel, bias, weights,
                         to + j * p.out_pixel);
      }
    }
  });
}

void forward_pack(const Conv2dForward& a, int64_t begin, int64_t end, float* packed) {
  const int64_t taps = a.g.kh * a.g.kw;
  for (int64_t task = begin; task < end; ++task) {
    float* __restrict panel = packed + task * forward_panel_floats(a.g);
    const Filters filters = start_panel(a, task, panel);
    for (int64_t c = 0; c < a.g.c; ++c) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        float* row = panel + kLanes + dot_index(tap * a.g.c + c, filters.valid);
        for (int64_t j = 0; j < filters.valid; ++j) row[j * kLanes] = filters.weight[(j * a.g.c + c) * taps + tap];
      }
    }
  }
}

void forward(const Conv2dForward& a, int64_t begin, int64_t end, float* scratch) {
  const int64_t rows = forward_rows(a.g);
  for (int64_t task = begin; task < end; ++task) {
    const Block block = block_at(task, a.g.oh, rows);
    const ForwardBlock b = forward_block(a, block, scratch);
    run_dot_pass(b.pass, b.source, a.packed, b.out, block.rows, a.g.ow);
    finish_rows(a, b.out, block.rows, a.g.k);
  }
}

void input_pack(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* packed) {
  const int64_t outputs = a.g.k, taps = a.g.kh * a.g.kw;
  each_packed_phase(a, begin, end, packed,
                    [&](int64_t group, int64_t panel, const Phase& py, const Phase& px, float* __restrict out) {
                      each_tap(a, group, panel, py, px, [&](int64_t k, int64_t tap, const float* from, int64_t valid) {
                        float* row = out + dot_index(tap * outputs + k, valid);
                        for (int64_t j = 0; j < valid; ++j) row[j * kLanes] = from[j * taps];
                      });
                    });
}

void backward_input(const Conv2dBackwardInput& a, int64_t begin, int64_t end, float* scratch) {
  const Conv2d& g = a.g;
  const int64_t rows = input_rows(g);
  for (int64_t task = begin; task < end; ++task) {
    const Block block = block_at(task, input_all_rows(g), rows);
    const Window win = input_window(g, block.first, block.rows);
    copy_window(a.dy + block.n * g.oh * g.ow * g.k, g.oh, g.ow, g.k, false, win, scratch);
    each_pass(a, block, win, scratch, win.cols * g.k, g.k,
              [&](const Pass& p, const float* source, const float* packed, float* out, int64_t out_rows, int64_t cols) {
                run_dot_pass(p, source, packed, out, out_rows, cols);
              });
  }
}

}  // namespace

const Packing<Conv2dForward> dot_forward_pack = {forward_pack_floats, forward_pack_tasks, forward_pack};
const Kernel<Conv2dForward> dot_forward = {{{forward_tasks, forward_scratch, forward}}};
const Packing<Conv2dBackwardInput> dot_backward_input_pack = {input_pack_floats, input_pack_tasks, input_pack};
const Kernel<Conv2dBackwardInput> dot_backward_input = {{{input_tasks, input_scratch, backward_input}}};

}  // namespace FASTNN_ISA
}  // namespace fastnn

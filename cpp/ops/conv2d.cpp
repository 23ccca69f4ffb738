#include "ops/conv2d.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "ops/conv2d_product.h"
#include "ops/conv2d_steps.h"
#include "runtime/isa.h"
#include "runtime/memory.h"

namespace fastnn {
namespace {

constexpr const char* kProduct = "product";

void check(bool ok, const char* op, const std::string& what) {
  if (!ok) throw std::invalid_argument(std::string(op) + ": " + what);
}

std::string text(const std::array<int64_t, 4>& shape) {
  std::string all;
  for (const int64_t size : shape) all += (all.empty() ? "(" : ", ") + std::to_string(size);
  return all + ")";
}

// Number of window positions; every sum and product is checked, so no later index can overflow. Where only one position
// fits, `stride` becomes the smallest that says so: loops over the phases of a stride then end.
int64_t positions(int64_t size, int64_t taps, int64_t& stride, int64_t dilation, int64_t before, int64_t after,
                  const char* op) {
  check(taps >= 1 && stride >= 1 && dilation >= 1 && before >= 0 && after >= 0, op,
        "kernel, stride and dilation must be at least 1 and padding at least 0");
  const int64_t extent = checked_add(checked_mul(dilation, taps - 1), 1);
  const int64_t padded = checked_add(checked_add(size, before), after);
  check(padded >= extent, op,
        "padded input of size " + std::to_string(padded) + " is smaller than the kernel, which spans " +
            std::to_string(extent));
  if (stride > padded - extent) stride = padded - extent + 1;
  checked_add(padded, checked_mul(stride, 2));
  return (padded - extent) / stride + 1;
}

// (n, c, h, w) in the order n, h, w, c. Axes of size 1 may have any stride.
bool is_channels_last(const Floats& x) {
  int64_t step = 1;
  if (x.size() == 0) return true;
  for (const int axis : {1, 3, 2, 0}) {
    if (x.sizes[axis] != 1 && x.strides[axis] != step) return false;
    step *= x.sizes[axis];
  }
  return true;
}

// A 1x1 convolution sees no neighbours: rows too short for the tiles of the kernels are joined, as many as divide h.
void join_rows(Conv2d& g) {
  constexpr int64_t kLongEnough = 28;  // two of the tallest tiles
  if (g.kh != 1 || g.kw != 1 || g.stride_h != 1 || g.stride_w != 1 || g.pad_top || g.pad_left || g.oh != g.h ||
      g.ow != g.w || g.w == 0)
    return;
  int64_t joined = std::min(g.h, kLongEnough / g.w + (kLongEnough % g.w != 0));
  while (joined > 1 && joined < g.h && g.h % joined) ++joined;
  if (joined <= 1) return;
  g.h = g.oh = g.h / joined;
  g.w = g.ow = g.w * joined;
}

// The first of the list that pays, from the shape of one sample and of the filters only, or the one that g pins. Null:
// that is not there, or does not accept the shape.
template <class Args>
const Conv2dAlgorithm<Args>* choose(const Conv2dAlgorithms<Args>& list, const Conv2d& g) {
  const bool plain = g.algorithm && std::strcmp(g.algorithm, kPlainSums) == 0;
  for (const Conv2dAlgorithm<Args>& a : list) {
    if (g.algorithm && !plain) {
      if (std::strcmp(a.name, g.algorithm) == 0) return a.accepts(g) ? &a : nullptr;
    } else if (a.accepts(g) && a.pays(g) && !(plain && a.kind == Conv2dKind::winograd)) {
      return &a;
    }
  }
  return nullptr;
}

// How a direction is computed: the fold, and of its g the algorithm; none where it is a product.
template <class Args>
struct Choice {
  Fold fold;
  const Conv2dAlgorithm<Args>* algorithm;

  const char* name() const { return algorithm ? algorithm->name : kProduct; }
};

bool is_pinned(const Conv2d& g) { return g.algorithm && std::strcmp(g.algorithm, kPlainSums) != 0; }

// products, gathers: where they pay, as fold_of has them. The kernel's algorithm is found in the folded geometry.
template <class Args>
Choice<Args> choice_of(const Conv2d& g, const Conv2dAlgorithms<Args>& all, bool products, bool gathers) {
  const bool pinned = is_pinned(g), product = pinned && std::strcmp(g.algorithm, kProduct) == 0;
  Choice<Args> choice{fold_of(g, pinned ? product : products, pinned || gathers), nullptr};
  if (choice.fold.is_product()) return choice;
  join_rows(choice.fold.g);
  choice.algorithm = choose(all, choice.fold.g);
  if (choice.algorithm) return choice;
  choice = {whole_fold(g), choose(all, g)};  // as it is, the pinned one may do
  check(choice.algorithm, "conv2d", std::string("algorithm '") + g.algorithm + "' does not compute this shape");
  return choice;
}

// Where the lanes are channels of groups there is nothing to multiply as a matrix; where they are channels of x, its
// pixels need not be turned.
template <class Args>
bool product_pays(const Conv2d& g, const Conv2dAlgorithms<Args>& all) {
  return !is_pinned(g) && choose(all, g)->kind != Conv2dKind::lanes;
}

Choice<Conv2dForward> forward_choice(const Conv2d& g) {
  const auto& all = kernels().conv->conv2d_forward;
  return choice_of(g, all, product_pays(g, all), true);
}

Choice<Conv2dBackwardWeight> weight_choice(const Conv2d& g) {
  const auto& all = kernels().conv->conv2d_backward_weight;
  return choice_of(g, all, product_pays(g, all) || g.c > g.groups, true);
}

// Pixels that meet one output along an axis: each is a phase of its own, so that no padding stands for the others.
Choice<Conv2dBackwardInput> input_choice(const Conv2d& g) {
  const auto& all = kernels().conv->conv2d_backward_input;
  const bool sparse = 2 * g.w > 3 * g.stride_w * g.ow;  // most pixels of a row of dx meet padding
  Choice<Conv2dBackwardInput> choice = choice_of(g, all, product_pays(g, all), sparse);
  if (!choice.algorithm || choice.algorithm->kind != Conv2dKind::phases) return choice;
  Conv2d& inner = choice.fold.g;
  if (inner.oh == 1 && inner.kh > 1) inner.stride_h = inner.h + inner.pad_top;
  if (inner.ow == 1 && inner.kw > 1) inner.stride_w = inner.w + inner.pad_left;
  choice.algorithm = choose(all, inner);
  return choice;
}

// What the packed filters depend on beside their bits.
template <class Args>
PackKey pack_key(const Choice<Args>& choice) {
  const Conv2d& g = choice.fold.g;
  PackKey key{reinterpret_cast<intptr_t>(choice.algorithm), g.k, g.c, g.kh, g.kw, g.groups};
  choice.fold.add_to(key);
  return key;
}

template <class Args>
const float* packed(Steps& steps, const Choice<Args>& choice, const Args& args, const Weight& weight,
                    std::initializer_list<const Floats*> others, PackKey key) {
  const Packing<Args>& pack = *choice.algorithm->pack;
  return steps.pack(weight, others, std::move(key), pack.floats(args),
                    [&pack, fold = choice.fold, args, w = weight.data](float* block) {
                      const Folded filters(fold, w);
                      Args a = args;
                      a.weight = filters.data();
                      launch(pack, a, block);
                    });
}

}  // namespace

Conv2d conv2d_geometry(const std::array<int64_t, 4>& x, const std::array<int64_t, 4>& weight,
                       const Conv2dOptions& options, const char* op) {
  const auto& [top, bottom, left, right] = options.padding;
  check(
      options.groups >= 1 && weight[0] % options.groups == 0 && x[1] == checked_mul(weight[1], options.groups), op,
      "x " + text(x) + ", weight " + text(weight) + " and groups " + std::to_string(options.groups) + " do not match");
  Conv2d g{};
  g.n = x[0], g.c = x[1], g.h = x[2], g.w = x[3];
  g.k = weight[0], g.kh = weight[2], g.kw = weight[3];
  g.stride_h = options.stride[0], g.stride_w = options.stride[1];
  g.dilation_h = options.dilation[0], g.dilation_w = options.dilation[1];
  g.groups = options.groups;
  g.algorithm = options.algorithm;
  g.pad_top = top, g.pad_left = left;
  g.oh = positions(g.h, g.kh, g.stride_h, g.dilation_h, top, bottom, op);
  g.ow = positions(g.w, g.kw, g.stride_w, g.dilation_w, left, right, op);
  // Windows and workspaces of the kernels: each fits in 62 bits when these products do.
  const int64_t padded = checked_mul(checked_add(g.h, top + bottom), checked_add(g.w, left + right));
  checked_mul(checked_mul(padded, checked_add(g.c, g.k)), 64);
  checked_mul(checked_mul(checked_mul(g.oh, g.ow), g.k), 64);
  return g;
}

std::array<std::vector<const char*>, 3> conv2d_algorithm_names() {
  const ConvKernels& k = *kernels().conv;
  std::array<std::vector<const char*>, 3> names;
  for (const auto& a : k.conv2d_forward) names[0].push_back(a.name);
  for (const auto& a : k.conv2d_backward_input) names[1].push_back(a.name);
  for (const auto& a : k.conv2d_backward_weight) names[2].push_back(a.name);
  for (auto& direction : names) direction.push_back(kProduct);
  return names;
}

std::array<const char*, 3> conv2d_algorithms(const std::array<Conv2d, 3>& g) {
  return {forward_choice(g[0]).name(), input_choice(g[1]).name(), weight_choice(g[2]).name()};
}

void conv2d_forward(Steps& steps, Conv2d g, const Floats& x, const Weight& weight, const Floats& bias,
                    const Floats& residual, bool relu, const Output& y) {
  if (y.size() == 0) return;
  g.x_nchw = !is_channels_last(x);
  const Choice<Conv2dForward> choice = forward_choice(g);
  const Fold& fold = choice.fold;
  Conv2dForward a{};
  a.bias = bias.data, a.y = y.data, a.residual = residual.data, a.relu = relu;
  if (!choice.algorithm) {
    product_forward(steps, fold, x.data, weight, bias, y.data);
    a.g = g;
    if (residual || relu) steps.add(kernels().conv->conv2d_finish, a);
    return;
  }
  a.g = fold.g, a.g.algorithm = choice.name();
  a.packed = packed(steps, choice, a, weight, {&bias}, pack_key(choice));
  a.weight = weight.data;
  a.x = folded_image(steps, fold, x.data);
  steps.add(*choice.algorithm->kernel, a);
}

void conv2d_backward_input(Steps& steps, const Conv2d& g, const Floats& dy, const Weight& weight, const Output& dx) {
  if (dx.size() == 0) return;
  const Choice<Conv2dBackwardInput> choice = input_choice(g);
  const Fold& fold = choice.fold;
  if (!choice.algorithm) return product_backward_input(steps, fold, dy.data, weight, dx.data);
  Conv2dBackwardInput a{};
  a.g = fold.g, a.g.algorithm = choice.name();
  a.dy = dy.data;
  PackKey key = pack_key(choice);  // and the phases of the stride
  key.insert(key.end(), {a.g.stride_h, a.g.stride_w, std::min(a.g.stride_h, a.g.h), std::min(a.g.stride_w, a.g.w),
                         a.g.dilation_h, a.g.dilation_w, a.g.pad_top, a.g.pad_left});
  a.packed = packed(steps, choice, a, weight, {}, std::move(key));
  a.weight = weight.data;
  a.dx = gradient_target(steps, fold, dx.data);
  steps.add(*choice.algorithm->kernel, a);
  unfold_image(steps, fold, a.dx, dx.data);
}

void conv2d_backward_weight(Steps& steps, Conv2d g, const Floats& x, const Floats& dy, const Output& dw) {
  g.x_nchw = !is_channels_last(x);
  const Choice<Conv2dBackwardWeight> choice = weight_choice(g);
  const Fold& fold = choice.fold;
  if (!choice.algorithm) return product_backward_weight(steps, fold, x.data, dy.data, dw.data);
  Conv2dBackwardWeight a{};
  a.g = fold.g, a.g.algorithm = choice.name();
  a.dy = dy.data;
  a.x = folded_image(steps, fold, x.data);
  a.dw = weight_target(steps, fold, dw.data);
  steps.add(*choice.algorithm->kernel, a);
  unfold_weight(steps, fold, a.dw, dw.data);
}

}  // namespace fastnn

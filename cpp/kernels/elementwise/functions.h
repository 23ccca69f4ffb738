// The functions of one element: value(x, o) and, where there is a gradient, pull(saved, dy, o) = f'(x) dy from x, or
// from y where kFromOutput says so. o are the options, each in all lanes. Each function also has a row in
// activation.cpp. What holds at NaN, at infinities and at kinks is what torch says.
#pragma once
#include "core/math.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

constexpr int64_t kMoves = 1 << 16;

// What most functions have in common.
struct Function {
  static constexpr bool kFromOutput = false;
  static constexpr int kOptions = 0;
  static constexpr int64_t kChunk = 1 << 14;  // floats to a task: a few microseconds; kMoves where memory is all of it
};

struct Elu : Function {               // Clevert et al. 2015
  static constexpr int kOptions = 1;  // alpha
  static vf value(vf x, const vf* o) { return x > vf{} ? x : o[0] * expm1(x); }
  static vf pull(vf x, vf dy, const vf* o) { return x > vf{} ? dy : dy * (o[0] * exp(x)); }
};

struct Erf : Function {
  static vf value(vf x, const vf*) { return erf(x); }
};

struct Exp : Function {
  static vf value(vf x, const vf*) { return exp(x); }
};

struct Gelu : Function {  // x times the normal distribution function (Hendrycks and Gimpel 2016)
  static vf value(vf x, const vf*) { return x * (splat(0.5f) * (splat(1.0f) + erf(x * splat(0.70710678f)))); }
  static vf pull(vf x, vf dy, const vf*) {  // the distribution function plus x times the density
    const vf density = exp(x * x * splat(-0.5f)) * splat(0.39894228f);
    return dy * fma(x, density, splat(0.5f) * (splat(1.0f) + erf(x * splat(0.70710678f))));
  }
};

struct GeluTanh : Function {  // 1/2 (1 + tanh(u)) = sigmoid(2 u), which keeps its accuracy for negative u
  static vf value(vf x, const vf*) { return x * sigmoid(x * fma(x * x, splat(0.071354816f), splat(1.5957691f))); }
  static vf pull(vf x, vf dy, const vf*) {  // s + x s (1 - s) u' with s = sigmoid(u); beyond 20, s is 0 or 1 exactly
    x = x > splat(20.0f) ? splat(20.0f) : x;
    x = x < splat(-20.0f) ? splat(-20.0f) : x;
    const vf square = x * x;
    const vf s = sigmoid(x * fma(square, splat(0.071354816f), splat(1.5957691f)));
    return dy * fma(x * s * (splat(1.0f) - s), fma(square, splat(0.21406445f), splat(1.5957691f)), s);
  }
};

struct Hardswish : Function {  // x relu6(x + 3) / 6 (Howard et al. 2019)
  static constexpr int64_t kChunk = kMoves;
  static vf value(vf x, const vf*) {
    return x * (at_most(at_least(x + splat(3.0f), vf{}), splat(6.0f)) * splat(1.0f / 6));
  }
  static vf pull(vf x, vf dy, const vf*) {
    const vf inside = dy * fma(x, splat(1.0f / 3), splat(0.5f));
    return x <= splat(-3.0f) ? vf{} : x >= splat(3.0f) ? dy : inside;
  }
};

struct LeakyRelu : Function {
  static constexpr int kOptions = 1;  // negative_slope
  static constexpr int64_t kChunk = kMoves;
  static vf value(vf x, const vf* o) { return x < vf{} ? x * o[0] : x; }
  static vf pull(vf x, vf dy, const vf* o) { return x > vf{} ? dy : dy * o[0]; }
};

struct Log : Function {
  static vf value(vf x, const vf*) { return log(x); }
};

struct Relu : Function {
  static constexpr bool kFromOutput = true;
  static constexpr int64_t kChunk = kMoves;
  static vf value(vf x, const vf*) { return x < vf{} ? vf{} : x; }
  static vf pull(vf y, vf dy, const vf*) { return y <= vf{} ? vf{} : dy; }
};

struct Sigmoid : Function {
  static constexpr bool kFromOutput = true;
  static vf value(vf x, const vf*) { return sigmoid(x); }
  static vf pull(vf y, vf dy, const vf*) { return dy * (y * (splat(1.0f) - y)); }
};

struct Silu : Function {
  static vf value(vf x, const vf*) { return x * sigmoid(x); }
  static vf pull(vf x, vf dy, const vf*) {
    const vf s = sigmoid(x);
    return dy * (s * fma(x, splat(1.0f) - s, splat(1.0f)));
  }
};

struct Softplus : Function {          // log(1 + exp(u)) / beta, u = beta x, in the form that never overflows
  static constexpr int kOptions = 2;  // beta, threshold
  static vf value(vf x, const vf* o) {
    const vf u = o[0] * x;
    return u > o[1] ? x : (at_least(u, vf{}) + log1p(exp(-abs(u)))) / o[0];
  }
  static vf pull(vf x, vf dy, const vf* o) {
    const vf u = o[0] * x;
    return u > o[1] ? dy : dy * sigmoid(u);
  }
};

struct Tanh : Function {
  static constexpr bool kFromOutput = true;
  static vf value(vf x, const vf*) { return tanh(x); }
  static vf pull(vf y, vf dy, const vf*) { return dy * (splat(1.0f) - y * y); }
};

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

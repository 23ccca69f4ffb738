// The losses that are a function of one output and its target: loss, and its derivatives dx and dtarget, of Elements.
// o are the options. All in float64: differences and squares neither overflow nor cancel. Each also has a row in
// pointwise_loss.cpp. What holds at NaN, at infinities and at kinks is what torch says.
#pragma once
#include "core/wide.h"

namespace fastnn {
namespace FASTNN_ISA {
namespace {

// kDoubles of them.
struct Elements {
  vd x, target, pos_weight;
  vd e, l;  // exp(-|x|) and log(1 + e) where kExponentials says so
};

// What most losses have in common.
struct Loss {
  static constexpr int kOptions = 0;
  static constexpr bool kExponentials = false;
  static constexpr bool kWeighted = false;  // looks at weight and pos_weight
};

// (1 - t) softplus(x) + pos_weight t softplus(-x): sums of what is not negative, for t in [0, 1].
struct BinaryCrossEntropyWithLogits : Loss {
  static constexpr bool kExponentials = true;
  static constexpr bool kWeighted = true;
  static vd above(const Elements& a) { return max(a.x, vd{}) + a.l; }   // softplus(x)
  static vd below(const Elements& a) { return max(-a.x, vd{}) + a.l; }  // softplus(-x)
  static vd loss(const Elements& a, const double*) {
    return (1 - a.target) * above(a) + a.pos_weight * a.target * below(a);
  }
  static vd dx(const Elements& a, const double*) {
    const vd one = 1 / (1 + a.e), other = a.e * one;  // sigmoid(|x|), sigmoid(-|x|)
    const auto negative = a.x < 0;
    return (1 - a.target) * (negative ? other : one) - a.pos_weight * a.target * (negative ? one : other);
  }
  static vd dtarget(const Elements& a, const double*) { return a.pos_weight * below(a) - above(a); }
};

struct HuberLoss : Loss {             // Huber 1964
  static constexpr int kOptions = 1;  // delta
  static vd loss(const Elements& a, const double* o) {
    const vd d = a.x - a.target, delta = splat_double(o[0]), distance = abs(d);
    return distance <= delta ? 0.5 * d * d : delta * (distance - 0.5 * delta);
  }
  static vd dx(const Elements& a, const double* o) {
    const vd d = a.x - a.target, delta = splat_double(o[0]);
    return d < -delta ? -delta : d > delta ? delta : d;
  }
  static vd dtarget(const Elements& a, const double* o) { return -dx(a, o); }
};

struct L1Loss : Loss {
  static vd loss(const Elements& a, const double*) { return abs(a.x - a.target); }
  static vd dx(const Elements& a, const double*) {
    const vd one = splat_double(1);
    return a.x > a.target ? one : a.x < a.target ? -one : vd{};
  }
  static vd dtarget(const Elements& a, const double* o) { return -dx(a, o); }
};

struct MseLoss : Loss {
  static vd loss(const Elements& a, const double*) { return (a.x - a.target) * (a.x - a.target); }
  static vd dx(const Elements& a, const double*) { return 2 * (a.x - a.target); }
  static vd dtarget(const Elements& a, const double* o) { return -dx(a, o); }
};

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

// The losses that are a function of one output and its target: loss, and its derivatives dx and dtarget, of an Element.
// o are the options. All in float64: differences and squares neither overflow nor cancel. Each also has a row in
// pointwise_loss.cpp. What holds at NaN, at infinities and at kinks is what torch says.
#pragma once

namespace fastnn {
namespace FASTNN_ISA {
namespace {

struct Element {
  double x, target, pos_weight;
  double e, l;  // exp(-|x|) and log(1 + e) where kExponentials says so
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
  static double above(const Element& a) { return (a.x > 0 ? a.x : 0) + a.l; }   // softplus(x)
  static double below(const Element& a) { return (a.x < 0 ? -a.x : 0) + a.l; }  // softplus(-x)
  static double loss(const Element& a, const double*) {
    return (1 - a.target) * above(a) + a.pos_weight * a.target * below(a);
  }
  static double dx(const Element& a, const double*) {
    const double one = 1 / (1 + a.e), other = a.e * one;  // sigmoid(|x|), sigmoid(-|x|)
    return (1 - a.target) * (a.x < 0 ? other : one) - a.pos_weight * a.target * (a.x < 0 ? one : other);
  }
  static double dtarget(const Element& a, const double*) { return a.pos_weight * below(a) - above(a); }
};

struct HuberLoss : Loss {             // Huber 1964
  static constexpr int kOptions = 1;  // delta
  static double loss(const Element& a, const double* o) {
    const double d = a.x - a.target, distance = __builtin_fabs(d);
    return distance <= o[0] ? 0.5 * d * d : o[0] * (distance - 0.5 * o[0]);
  }
  static double dx(const Element& a, const double* o) {
    const double d = a.x - a.target;
    return d < -o[0] ? -o[0] : d > o[0] ? o[0] : d;
  }
  static double dtarget(const Element& a, const double* o) { return -dx(a, o); }
};

struct L1Loss : Loss {
  static double loss(const Element& a, const double*) { return __builtin_fabs(a.x - a.target); }
  static double dx(const Element& a, const double*) {
    return (a.x > a.target ? 1.0 : 0.0) - (a.x < a.target ? 1.0 : 0.0);
  }
  static double dtarget(const Element& a, const double* o) { return -dx(a, o); }
};

struct MseLoss : Loss {
  static double loss(const Element& a, const double*) { return (a.x - a.target) * (a.x - a.target); }
  static double dx(const Element& a, const double*) { return 2 * (a.x - a.target); }
  static double dtarget(const Element& a, const double* o) { return -dx(a, o); }
};

}  // namespace
}  // namespace FASTNN_ISA
}  // namespace fastnn

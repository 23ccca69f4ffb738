#include "ops/arithmetic.h"

namespace fastnn {
namespace {

// Of single numbers: steps of 0.
struct Operands {
  int64_t size, x_step, y_step;
  const float *x, *y;
  float* z;
};

template <class Function>
void each(const Operands& o, Function function) {
  if (o.x_step && o.y_step)
    for (int64_t i = 0; i < o.size; ++i) o.z[i] = function(o.x[i], o.y[i]);
  else if (o.x_step)
    for (int64_t i = 0; i < o.size; ++i) o.z[i] = function(o.x[i], *o.y);
  else
    for (int64_t i = 0; i < o.size; ++i) o.z[i] = function(*o.x, o.y[i]);
}

}  // namespace

void arithmetic(Steps& steps, char sign, const Floats& x, const Floats& y, const Output& z) {
  const Operands o{z.size(), x.axes, y.axes, x.data, y.data, z.data};
  steps.call([sign, o] {
    if (sign == '+')
      each(o, [](float a, float b) { return a + b; });
    else if (sign == '-')
      each(o, [](float a, float b) { return a - b; });
    else if (sign == '*')
      each(o, [](float a, float b) { return a * b; });
    else
      each(o, [](float a, float b) { return a / b; });
  });
}

}  // namespace fastnn

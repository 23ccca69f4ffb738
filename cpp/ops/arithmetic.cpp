#include "ops/arithmetic.h"

namespace fastnn {
namespace {

template <class Function>
void each(const Floats& x, const Floats& y, const Output& z, Function function) {
  const int64_t size = z.size();
  if (x.axes && y.axes)
    for (int64_t i = 0; i < size; ++i) z.data[i] = function(x.data[i], y.data[i]);
  else if (x.axes)
    for (int64_t i = 0; i < size; ++i) z.data[i] = function(x.data[i], *y.data);
  else
    for (int64_t i = 0; i < size; ++i) z.data[i] = function(*x.data, y.data[i]);
}

}  // namespace

void arithmetic(Steps& steps, char sign, const Floats& x, const Floats& y, const Output& z) {
  steps.call([=] {
    if (sign == '+')
      each(x, y, z, [](float a, float b) { return a + b; });
    else if (sign == '-')
      each(x, y, z, [](float a, float b) { return a - b; });
    else if (sign == '*')
      each(x, y, z, [](float a, float b) { return a * b; });
    else
      each(x, y, z, [](float a, float b) { return a / b; });
  });
}

}  // namespace fastnn

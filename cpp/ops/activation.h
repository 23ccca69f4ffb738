// activation: y = f(x), elementwise over flat memory, and its gradient.
#pragma once
#include <string>

#include "contract/elementwise.h"
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// The function of that name; throws std::invalid_argument where there is none, or none with a gradient.
Function function_named(const std::string& name, bool gradient, const char* op);

void activation_forward(Steps& steps, Function function, float slope, const Floats& x, const Output& y);
// saved: y of relu, sigmoid and tanh, else x.
void activation_backward(Steps& steps, Function function, float slope, const Floats& saved, const Floats& dy,
                         const Output& dx);

}  // namespace fastnn

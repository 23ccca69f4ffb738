// activation: y = f(x), elementwise over flat memory, and its gradient.
#pragma once
#include <string>
#include <vector>

#include "contract/elementwise.h"
#include "ops/steps.h"
#include "ops/view.h"

namespace fastnn {

// The function f of that name; throws std::invalid_argument where there is none.
const ActivationKernels& activation_named(const std::string& name, const char* op);

// options: those of f. Throws std::invalid_argument for another number of them, and where f has no gradient.
void activation_forward(Steps& steps, const ActivationKernels& f, const std::vector<double>& options, const Floats& x,
                        const Output& y);
// saved: y where f.from_output, else x.
void activation_backward(Steps& steps, const ActivationKernels& f, const std::vector<double>& options,
                         const Floats& saved, const Floats& dy, const Output& dx);

}  // namespace fastnn

// How a binding runs an op: eagerly and without the GIL, or, while a KeptSteps of this thread listens, kept.
#pragma once
#include <pybind11/pybind11.h>

#include "ops/steps.h"

namespace fastnn {

Steps* listening();  // null: nobody

template <class Op>
void run_op(Op op) {
  if (Steps* kept = listening()) return op(*kept);
  const pybind11::gil_scoped_release nogil;
  Steps steps;
  op(steps);
}

}  // namespace fastnn

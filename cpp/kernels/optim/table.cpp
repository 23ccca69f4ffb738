// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/optim.h"

namespace fastnn {
namespace FASTNN_ISA {

const OptimKernels* optim_kernels() {
  static OptimKernels table;
  // clang-format off
  void add_optimizer(OptimKernels&); add_optimizer(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

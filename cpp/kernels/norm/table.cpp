// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/norm.h"

namespace fastnn {
namespace FASTNN_ISA {

const NormKernels* norm_kernels() {
  static NormKernels table;
  // clang-format off
  void add_batchnorm(NormKernels&); add_batchnorm(table);
  void add_batchnorm_backward(NormKernels&); add_batchnorm_backward(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

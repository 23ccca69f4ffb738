// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/elementwise.h"

namespace fastnn {
namespace FASTNN_ISA {

const ElementwiseKernels* elementwise_kernels() {
  static ElementwiseKernels table;
  // clang-format off
  void add_activation(ElementwiseKernels&); add_activation(table);
  void add_dropout(ElementwiseKernels&); add_dropout(table);
  void add_softmax(ElementwiseKernels&); add_softmax(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

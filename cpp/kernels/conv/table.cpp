// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/conv.h"

namespace fastnn {
namespace FASTNN_ISA {

const ConvKernels* conv_kernels() {
  static ConvKernels table;
  // clang-format off
  void add_conv2d(ConvKernels&); add_conv2d(table);
  void add_conv2d_input(ConvKernels&); add_conv2d_input(table);
  void add_conv2d_weight(ConvKernels&); add_conv2d_weight(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

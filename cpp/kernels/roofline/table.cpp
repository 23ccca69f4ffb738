// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/roofline.h"

namespace fastnn {
namespace FASTNN_ISA {

const RooflineKernels* roofline_kernels() {
  static RooflineKernels table;
  // clang-format off
  void add_roofline(RooflineKernels&); add_roofline(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

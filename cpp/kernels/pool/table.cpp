// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/pool.h"

namespace fastnn {
namespace FASTNN_ISA {

const PoolKernels* pool_kernels() {
  static PoolKernels table;
  // clang-format off
  void add_avgpool2d(PoolKernels&); add_avgpool2d(table);
  void add_maxpool2d(PoolKernels&); add_maxpool2d(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

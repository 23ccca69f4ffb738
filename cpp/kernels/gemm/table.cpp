// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/gemm.h"

namespace fastnn {
namespace FASTNN_ISA {

const GemmKernels* gemm_kernels() {
  static GemmKernels table;
  // clang-format off
  void add_digest(GemmKernels&); add_digest(table);
  void add_embedding(GemmKernels&); add_embedding(table);
  void add_gemm(GemmKernels&); add_gemm(table);
  void add_sum_rows(GemmKernels&); add_sum_rows(table);
  void add_transpose(GemmKernels&); add_transpose(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

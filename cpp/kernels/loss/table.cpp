// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/loss.h"

namespace fastnn {
namespace FASTNN_ISA {

const LossKernels* loss_kernels() {
  static LossKernels table;
  // clang-format off
  void add_crf(LossKernels&); add_crf(table);
  void add_crf_decode(LossKernels&); add_crf_decode(table);
  void add_cross_entropy(LossKernels&); add_cross_entropy(table);
  void add_ctc(LossKernels&); add_ctc(table);
  void add_ctc_greedy(LossKernels&); add_ctc_greedy(table);
  void add_pointwise_loss(LossKernels&); add_pointwise_loss(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

// The table of the family: one line per kernel file, whose add_<op> fills in its part. Called once.
#include "contract/recurrent.h"

namespace fastnn {
namespace FASTNN_ISA {

const RecurrentKernels* recurrent_kernels() {
  static RecurrentKernels table;
  // clang-format off
  void add_gru(RecurrentKernels&); add_gru(table);
  void add_gru_variant(RecurrentKernels&); add_gru_variant(table);
  void add_lstm(RecurrentKernels&); add_lstm(table);
  void add_lstm_variant(RecurrentKernels&); add_lstm_variant(table);
  void add_lstm_variant_backward(RecurrentKernels&); add_lstm_variant_backward(table);
  void add_panel(RecurrentKernels&); add_panel(table);
  void add_recurrent_step(RecurrentKernels&); add_recurrent_step(table);
  void add_rnn(RecurrentKernels&); add_rnn(table);
  // clang-format on
  return &table;
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

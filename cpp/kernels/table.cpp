// The table of kernels of one ISA level: one line per kernel file, whose add_<op> fills in its part.
#include "kernels.h"

namespace fastnn {
namespace FASTNN_ISA {

void fill(Kernels& k) {
  // clang-format off
  void add_activation(Kernels&); add_activation(k);
  void add_avgpool2d(Kernels&); add_avgpool2d(k);
  void add_batchnorm(Kernels&); add_batchnorm(k);
  void add_batchnorm_backward(Kernels&); add_batchnorm_backward(k);
  void add_conv2d(Kernels&); add_conv2d(k);
  void add_conv2d_input(Kernels&); add_conv2d_input(k);
  void add_conv2d_weight(Kernels&); add_conv2d_weight(k);
  void add_crf(Kernels&); add_crf(k);
  void add_crf_decode(Kernels&); add_crf_decode(k);
  void add_cross_entropy(Kernels&); add_cross_entropy(k);
  void add_ctc(Kernels&); add_ctc(k);
  void add_ctc_greedy(Kernels&); add_ctc_greedy(k);
  void add_digest(Kernels&); add_digest(k);
  void add_dropout(Kernels&); add_dropout(k);
  void add_embedding(Kernels&); add_embedding(k);
  void add_gemm(Kernels&); add_gemm(k);
  void add_gru(Kernels&); add_gru(k);
  void add_gru_variant(Kernels&); add_gru_variant(k);
  void add_lstm(Kernels&); add_lstm(k);
  void add_lstm_variant(Kernels&); add_lstm_variant(k);
  void add_lstm_variant_backward(Kernels&); add_lstm_variant_backward(k);
  void add_maxpool2d(Kernels&); add_maxpool2d(k);
  void add_mse_loss(Kernels&); add_mse_loss(k);
  void add_optimizer(Kernels&); add_optimizer(k);
  void add_recurrent_step(Kernels&); add_recurrent_step(k);
  void add_rnn(Kernels&); add_rnn(k);
  void add_roofline(Kernels&); add_roofline(k);
  void add_softmax(Kernels&); add_softmax(k);
  void add_step_product(Kernels&); add_step_product(k);
  void add_sum_rows(Kernels&); add_sum_rows(k);
  void add_transpose(Kernels&); add_transpose(k);
  // clang-format on
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

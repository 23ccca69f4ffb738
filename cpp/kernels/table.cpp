// The kernels of one ISA level: one line per family, in the order of Kernels.
#include "contract/kernels.h"

namespace fastnn {
namespace FASTNN_ISA {

const ConvKernels* conv_kernels();
const ElementwiseKernels* elementwise_kernels();
const GemmKernels* gemm_kernels();
const LossKernels* loss_kernels();
const NormKernels* norm_kernels();
const OptimKernels* optim_kernels();
const PoolKernels* pool_kernels();
const RecurrentKernels* recurrent_kernels();
const RooflineKernels* roofline_kernels();

Kernels all_kernels() {
  return {conv_kernels(),  elementwise_kernels(), gemm_kernels(),      loss_kernels(),    norm_kernels(),
          optim_kernels(), pool_kernels(),        recurrent_kernels(), roofline_kernels()};
}

}  // namespace FASTNN_ISA
}  // namespace fastnn

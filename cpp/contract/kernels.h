// The kernels of one ISA level: a table for each family, which only those who include its contract can look into.
#pragma once

namespace fastnn {

struct ConvKernels;
struct ElementwiseKernels;
struct GemmKernels;
struct LossKernels;
struct NormKernels;
struct OptimKernels;
struct PoolKernels;
struct RecurrentKernels;
struct RooflineKernels;

struct Kernels {
  const ConvKernels* conv;
  const ElementwiseKernels* elementwise;
  const GemmKernels* gemm;
  const LossKernels* loss;
  const NormKernels* norm;
  const OptimKernels* optim;
  const PoolKernels* pool;
  const RecurrentKernels* recurrent;
  const RooflineKernels* roofline;
};

}  // namespace fastnn

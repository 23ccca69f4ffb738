// The contract of the dense work that many ops share: products, sums and copies of rows; kernel.h says what a kernel
// is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- digest --------------------------------------------------------------------------------------------------------
// words (digest_words(size)) = a fingerprint of the bits of x (size).
struct DigestArgs {
  int64_t size;
  const float* x;
  uint32_t* words;
};

// ---- embedding -----------------------------------------------------------------------------------------------------
// y (count, width) = rows of weight (rows, width) named by indices (count), all in [-1, rows); -1: zeros.
struct Embedding {
  int64_t count, rows, width;
  const int64_t* indices;
  const float* weight;
  float* y;
};
// dw (rows, width) = sum of the rows of dy (count, width) with that index, in their order; row `skip` is zero
// (-1: none).
struct EmbeddingBackward {
  int64_t count, rows, width, skip;
  const int64_t* indices;
  const float* dy;
  float* dw;
  float* workspace;
};

// ---- gemm ----------------------------------------------------------------------------------------------------------
// c (batch, m, n) = a (batch, m, k) . b (batch, k, n), plus bias (n) where not null. Any strides for a and b, columns
// of c are contiguous. Each element is one chain of multiply-adds in the order of k, starting from the bias. Where few
// rows are multiplied, b is read as it lies: gemm_pack has 0 floats.
struct Gemm {
  int64_t batch, m, n, k;
  const float* a;
  int64_t a_batch, a_row, a_col;
  const float* b;
  int64_t b_batch, b_row, b_col;  // b_batch == 0: one b for all
  const float* bias;
  float* c;
  int64_t c_batch, c_row;
  const float* packed;  // b and bias, by gemm_pack; null: gemm packs them into its workspace
  float* workspace;
  bool relu;  // of the sums: c = max(c, 0)
};

// ---- sum_rows ------------------------------------------------------------------------------------------------------
// out (columns) = sum over rows of x (rows, columns), rows x_row floats apart: the gradient of a bias.
struct SumRows {
  int64_t rows, columns, x_row;
  const float* x;
  float* out;
  float* workspace;
};

// ---- transpose -----------------------------------------------------------------------------------------------------
// y (n, cols, rows) = x (n, rows, cols) with its last two axes exchanged.
struct Transpose {
  int64_t n, rows, cols;
  const float* x;
  float* y;
};

struct GemmKernels {
  int64_t (*digest_words)(int64_t size);
  Kernel<DigestArgs> digest;
  Kernel<Embedding> embedding_forward;
  Kernel<EmbeddingBackward> embedding_backward;
  Packing<Gemm> gemm_pack;
  Kernel<Gemm> gemm;
  Kernel<SumRows> sum_rows;
  Kernel<Transpose> transpose;
};

}  // namespace fastnn

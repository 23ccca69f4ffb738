// The contract of functions of one element or one row; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- activation ----------------------------------------------------------------------------------------------------
// y = f(x) and dx = f'(x) dy, elementwise over flat memory.
enum class Function { relu, leaky_relu, gelu, gelu_tanh, silu, sigmoid, tanh, exp, log, erf };
struct Activation {
  Function function;
  int64_t size;
  float slope;  // of leaky_relu for x < 0
  const float* x;
  float* y;
};
struct ActivationBackward {
  Function function;  // exp, log and erf have none
  int64_t size;
  float slope;
  const float* saved;  // y for relu, sigmoid and tanh; else x
  const float* dy;
  float* dx;
};

// ---- dropout -------------------------------------------------------------------------------------------------------
// y = x * factor where the random 32 bits of the element are at least `threshold`, else 0. They are a hash of the
// element's index and the key, so the mask is never stored: backward is the same call on dy.
struct Dropout {
  int64_t size;
  uint64_t key;
  uint32_t threshold;  // 2^32 p
  float factor;        // 1 / (1 - p)
  const float* x;
  float* y;
};

// ---- softmax -------------------------------------------------------------------------------------------------------
// y = softmax(x), or its logarithm, of each row; dx = y (dy - sum of dy y), or dy - exp(y) (sum of dy).
struct Softmax {
  int64_t rows, columns;
  bool log;
  const float* x;  // (rows, columns)
  float* y;        // (rows, columns)
};
struct SoftmaxBackward {
  int64_t rows, columns;
  bool log;
  const float *y, *dy;  // (rows, columns)
  float* dx;            // (rows, columns)
};

struct ElementwiseKernels {
  Kernel<Activation> activation_forward;
  Kernel<ActivationBackward> activation_backward;
  Kernel<Dropout> dropout;
  Kernel<Softmax> softmax_forward;
  Kernel<SoftmaxBackward> softmax_backward;
};

}  // namespace fastnn

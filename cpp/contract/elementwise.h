// The contract of functions of one element or one row; kernel.h says what a kernel is.
#pragma once
#include "contract/kernel.h"

namespace fastnn {

// ---- activation ----------------------------------------------------------------------------------------------------
// y = f(x) and dx = f'(x) dy, elementwise over flat memory. Which functions f there are, elementwise/functions.h says.
constexpr int kMostActivationOptions = 2;
struct Activation {
  int64_t size;
  float options[kMostActivationOptions];  // of f, in its order
  const float* x;
  float* y;
};
struct ActivationBackward {
  int64_t size;
  float options[kMostActivationOptions];
  const float* saved;  // x, or y where f' is computed from it
  const float* dy;
  float* dx;
};
struct ActivationKernels {
  const char* name;
  int options;       // how many f has
  bool from_output;  // what is saved
  Kernel<Activation> forward;
  Kernel<ActivationBackward> backward;  // without phases: f is there for its values only
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
  const ActivationKernels* activations;
  int activation_count;
  Kernel<Dropout> dropout;
  Kernel<Softmax> softmax_forward;
  Kernel<SoftmaxBackward> softmax_backward;
};

}  // namespace fastnn

// What a kernel is. The contract between kernels and the rest is one header a family: for each op its geometry and
// arrays (a plain struct, the args) and its kernels. Shapes are written there and nowhere else. All arrays are float32
// unless said otherwise; sizes count elements.
//
// A kernel is its phases, done in order: all tasks of a phase before the next begins. tasks(args) depends on the shape
// only, never on threads (0 where the phase has nothing to do), and each task writes elements that no other task of the
// phase writes; run(args, begin, end, scratch) does the tasks [begin, end). Who runs which task, and on how many
// threads, therefore never changes a bit of the result. What phases leave for each other lies in the workspace: whoever
// launches the kernel puts it into the args, so that no caller knows what is in there or when it is made.
//
// Weights in the order in which a kernel reads them (packed) are worth keeping from call to call. So packing is no
// phase but a Packing of its own, in the table beside the kernels that read its block: the block is made once per value
// of the weights (ops/packs.h) and given to them as args.packed. gemm, whose b may be of one call only, packs it itself
// where there is none.
#pragma once
#include <stdint.h>

namespace fastnn {

template <class Args>
struct Phase {
  int64_t (*tasks)(const Args&);
  int64_t (*scratch)(const Args&);  // floats that one thread needs in run(); null: none
  void (*run)(const Args&, int64_t begin, int64_t end, float* scratch);
};

template <class Args>
struct Kernel {
  static constexpr int kMost = 3;
  Phase<Args> phases[kMost];                    // those after the last have no run
  int64_t (*workspace)(const Args&) = nullptr;  // floats that all phases share; null: none
  float* Args::* place = nullptr;               // where the args have it
};

// A kernel of many phases that are alike, its steps: all tasks of a step are done before the next step begins. Each
// task has elements of its own through all steps.
template <class Args>
struct SteppedKernel {
  int64_t (*steps)(const Args&);
  int64_t (*tasks)(const Args&);  // of every step
  void (*run)(const Args&, int64_t step, int64_t begin, int64_t end);
  int64_t (*workspace)(const Args&) = nullptr;
  float* Args::* place = nullptr;
};

template <class Args>
struct Packing {
  int64_t (*floats)(const Args&);  // of the block
  int64_t (*tasks)(const Args&);
  void (*run)(const Args&, int64_t begin, int64_t end, float* packed);
};

}  // namespace fastnn

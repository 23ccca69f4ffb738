// How many threads run, and how the tasks of a kernel are spread over them.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/kernels.h"

namespace fastnn {

int get_num_threads();
void set_num_threads(int n);  // n >= 1
const char* thread_backend();
void install_fork_handler();  // called once when the module is imported

// run(context, begin, end, scratch) over the tasks [0, tasks), contiguous ranges, one per thread. `scratch_floats` is
// what each thread gets. One task, one thread or a call from inside a team runs on the caller, without a region.
using RunRange = void (*)(const void* context, int64_t begin, int64_t end, float* scratch);
void run_tasks(RunRange run, const void* context, int64_t tasks, int64_t scratch_floats);

// The same in steps: every task of a step is done before the next step begins.
using RunStep = void (*)(const void* context, int64_t step, int64_t begin, int64_t end);
void run_steps(RunStep run, const void* context, int64_t steps, int64_t tasks);

// While one lives, subnormal numbers count as zero for its thread, and for every thread that runs a kernel for it. They
// would make a multiply-add up to a hundred times slower, and the gradients and states of long sequences fade through
// them. The mode of each thread is put back after.
class FlushSubnormals {
 public:
  FlushSubnormals();
  ~FlushSubnormals();
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  uint64_t mode_;
  bool outer_;
};

template <class Args>
void launch(const Kernel<Args>& kernel, const Args& args) {
  struct Call {
    const Kernel<Args>* kernel;
    const Args* args;
  } call{&kernel, &args};
  run_tasks(
      [](const void* context, int64_t begin, int64_t end, float* scratch) {
        const Call* c = static_cast<const Call*>(context);
        c->kernel->run(*c->args, begin, end, scratch);
      },
      &call, kernel.tasks(args), kernel.scratch ? kernel.scratch(args) : 0);
}

// `count` calls of one kernel that do not depend on each other, side by side. All have the same number of steps.
template <class Args>
void launch(const SteppedKernel<Args>& kernel, const Args* args, int64_t count) {
  struct Calls {
    const SteppedKernel<Args>* kernel;
    const Args* args;
    int64_t count;
  } calls{&kernel, args, count};
  int64_t tasks = 0;
  for (int64_t i = 0; i < count; ++i) tasks += kernel.tasks(args[i]);
  run_steps(
      [](const void* context, int64_t step, int64_t begin, int64_t end) {
        const Calls* c = static_cast<const Calls*>(context);
        for (int64_t i = 0, first = 0; i < c->count; ++i) {  // the tasks of call i follow those of call i - 1
          const int64_t own = c->kernel->tasks(c->args[i]);
          const int64_t from = std::max<int64_t>(begin - first, 0), to = std::min(end - first, own);
          if (from < to) c->kernel->run(c->args[i], step, from, to);
          first += own;
        }
      },
      &calls, count ? kernel.steps(args[0]) : 0, tasks);
}

}  // namespace fastnn

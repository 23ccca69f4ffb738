// Runs a kernel: its phases in order, each over all threads, with a workspace from the cache.
#pragma once
#include <algorithm>
#include <cstdint>

#include "contract/kernel.h"
#include "runtime/memory.h"
#include "runtime/threads.h"

namespace fastnn {

// The phases alone: args have their workspace.
template <class Args>
void run_phases(const Kernel<Args>& kernel, const Args& args) {
  struct Call {
    const Phase<Args>* phase;
    const Args* args;
  };
  for (const Phase<Args>& phase : kernel.phases) {
    if (!phase.run) return;
    const Call call{&phase, &args};
    run_tasks(
        [](const void* context, int64_t begin, int64_t end, float* scratch) {
          const Call* c = static_cast<const Call*>(context);
          c->phase->run(*c->args, begin, end, scratch);
        },
        &call, phase.tasks(args), phase.scratch ? phase.scratch(args) : 0);
  }
}

template <class Args>
void launch(const Kernel<Args>& kernel, const Args& args) {
  const int64_t floats = kernel.workspace ? kernel.workspace(args) : 0;
  if (floats == 0) return run_phases(kernel, args);
  const Workspace workspace(floats);
  Args placed = args;
  placed.*kernel.place = workspace.data();
  run_phases(kernel, placed);
}

// `count` calls of one kernel that do not depend on each other, side by side, with the workspaces in their args. All
// have the same number of steps.
template <class Args>
void run_steps_of(const SteppedKernel<Args>& kernel, const Args* args, int64_t count) {
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

// Fills a block of packing.floats(args) floats.
template <class Args>
void launch(const Packing<Args>& packing, const Args& args, float* packed) {
  struct Call {
    const Packing<Args>* packing;
    const Args* args;
    float* packed;
  } call{&packing, &args, packed};
  run_tasks(
      [](const void* context, int64_t begin, int64_t end, float*) {
        const Call* c = static_cast<const Call*>(context);
        c->packing->run(*c->args, begin, end, c->packed);
      },
      &call, packing.tasks(args), 0);
}

}  // namespace fastnn

// How many threads run, and how the tasks of a kernel are spread over them.
#pragma once
#include <cstdint>

namespace fastnn {

int get_num_threads();
void set_num_threads(int n);  // n >= 1
const char* thread_backend();
void install_fork_handler();  // for threads and the cache of memory; called once when the module is imported

// run(context, begin, end, scratch) over the tasks [0, tasks), contiguous ranges, one per thread. `scratch_floats` is
// what each thread gets. One task, one thread or a call from inside a team runs on the caller, without a region.
using RunRange = void (*)(const void* context, int64_t begin, int64_t end, float* scratch);
void run_tasks(RunRange run, const void* context, int64_t tasks, int64_t scratch_floats);

// The same in steps: every task of a step is done before the next step begins.
using RunStep = void (*)(const void* context, int64_t step, int64_t begin, int64_t end);
void run_steps(RunStep run, const void* context, int64_t steps, int64_t tasks);

// While one lives, subnormal numbers count as zero for its thread. They would make a multiply-add up to a hundred times
// slower, and the gradients and states of long sequences fade through them. Whoever runs a kernel for another thread
// does so in that thread's mode, and has its own back after.
class FlushSubnormals {
 public:
  FlushSubnormals();
  ~FlushSubnormals();
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
  uint64_t mode_;
};

}  // namespace fastnn

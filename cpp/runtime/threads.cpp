#include "runtime/threads.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <new>
#include <vector>

#include "runtime/memory.h"
#include "runtime/parallel.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fastnn {
namespace {

std::atomic<int> num_threads{1};

#if defined(__x86_64__)
constexpr uint64_t kFlush = 0x8040;  // of results and of operands
uint64_t float_mode() { return _mm_getcsr(); }
void set_float_mode(uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
constexpr uint64_t kFlush = 1 << 24;
uint64_t float_mode() {
  uint64_t mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
void set_float_mode(uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
constexpr uint64_t kFlush = 0;
uint64_t float_mode() { return 0; }
void set_float_mode(uint64_t) {}
#endif

void pause_spinning() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

struct Team {
  RunRange run;
  const void* context;
  int64_t tasks;
  int64_t scratch_floats;
  uint64_t mode;                    // of floats, of the thread that asked: a member may have been born into another
  std::atomic<bool> failed{false};  // to get its scratch
};

// The tasks of a step in parts, about two for each member. A member takes its own parts first, which keeps their
// weights in its cache, then what others have not begun: one that has lost its core to another process holds nobody up
// for longer than a part. Members wait in a loop, since a step takes microseconds.
struct SteppedTeam {
  struct alignas(64) Part {
    std::atomic<int64_t> step{0};  // the next to be taken
  };

  SteppedTeam(RunStep run, const void* context, int64_t steps, int64_t tasks, int members)
      : run(run),
        context(context),
        steps(steps),
        tasks(tasks),
        mode(float_mode()),
        parts(steps > 1 ? 2 * members : members) {}

  void wait_for(int64_t step) {
    for (int spins = 0; done.load(std::memory_order_acquire) < step * count(); ++spins) {
      if (spins < kSpins)
        pause_spinning();
      else
        sched_yield();
    }
  }

  void take(int64_t part, int64_t step) {
    int64_t expected = step;
    if (!parts[part].step.compare_exchange_strong(expected, step + 1, std::memory_order_relaxed)) return;
    const int64_t begin = tasks * part / count(), end = tasks * (part + 1) / count();
    if (begin < end) run(context, step, begin, end);
    done.fetch_add(1, std::memory_order_release);
  }

  int64_t count() const { return static_cast<int64_t>(parts.size()); }

  static constexpr int kSpins = 1 << 10;
  RunStep run;
  const void* context;
  int64_t steps, tasks;
  uint64_t mode;  // as Team has it
  std::vector<Part> parts;
  alignas(64) std::atomic<int64_t> done{0};  // parts of all steps
};

void member_body(void* context, int member, int size) {
  Team* team = static_cast<Team*>(context);
  const int64_t begin = team->tasks * member / size;
  const int64_t end = team->tasks * (member + 1) / size;
  if (begin == end) return;
  float* memory = nullptr;
  try {  // nothing may leave a team by exception
    memory = scratch(team->scratch_floats);
  } catch (...) {
    team->failed = true;
    return;
  }
  const uint64_t mode = float_mode();
  set_float_mode(team->mode);
  team->run(team->context, begin, end, memory);
  set_float_mode(mode);
}

void stepped_body(void* context, int member, int size) {
  SteppedTeam* team = static_cast<SteppedTeam*>(context);
  const int64_t own = team->count() * member / size;
  const uint64_t mode = float_mode();
  set_float_mode(team->mode);
  for (int64_t step = 0; step < team->steps; ++step) {
    team->wait_for(step);
    for (int64_t i = 0; i < team->count(); ++i) team->take((own + i) % team->count(), step);
  }
  set_float_mode(mode);
}

}  // namespace

int get_num_threads() { return num_threads; }
void set_num_threads(int n) { num_threads = n; }
const char* thread_backend() { return parallel::backend(); }

void install_fork_handler() {
  static std::atomic<bool> installed{false};
  if (installed.exchange(true)) return;
  const auto before = [] {
    parallel::before_fork();
    lock_cache();
  };
  pthread_atfork(before, unlock_cache, unlock_cache);
}

void run_tasks(RunRange run, const void* context, int64_t tasks, int64_t scratch_floats) {
  if (tasks <= 0) return;
  const int threads = num_threads;
  if (threads == 1 || tasks == 1 || parallel::inside()) {
    run(context, 0, tasks, scratch(scratch_floats));
    return;
  }
  // Always the full team: libgomp starts and ends threads whenever the size of a team changes.
  Team team{run, context, tasks, scratch_floats, float_mode()};
  parallel::run_team(threads, member_body, &team);
  if (team.failed) throw std::bad_alloc();
}

void run_steps(RunStep run, const void* context, int64_t steps, int64_t tasks) {
  if (tasks <= 0) return;
  const int threads = num_threads;
  if (threads == 1 || tasks == 1 || parallel::inside()) {
    for (int64_t step = 0; step < steps; ++step) run(context, step, 0, tasks);
    return;
  }
  SteppedTeam team(run, context, steps, tasks, threads);
  parallel::run_team(threads, stepped_body, &team);
}

FlushSubnormals::FlushSubnormals() : mode_(float_mode()) { set_float_mode(mode_ | kFlush); }

FlushSubnormals::~FlushSubnormals() { set_float_mode(mode_); }

}  // namespace fastnn

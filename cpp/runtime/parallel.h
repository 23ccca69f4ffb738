// The thread backends: run a function once per member of a team. The only file that mentions OpenMP.
// Chosen at build time: FASTNN_THREADS_openmp (default), _std (std::thread, for ThreadSanitizer), _serial.
#pragma once

#if defined(FASTNN_THREADS_openmp)
#include <omp.h>
#elif defined(FASTNN_THREADS_std)
#include <future>
#include <system_error>
#include <thread>
#include <vector>
#endif

namespace fastnn {
namespace parallel {

// body(context, member, size) for member = 0 .. size - 1, where size <= team is what could be had. body must not throw.
using Body = void (*)(void* context, int member, int size);

#if defined(FASTNN_THREADS_openmp)

inline const char* backend() { return "openmp"; }
inline bool inside() { return omp_in_parallel(); }

inline void run_team(int team, Body body, void* context) {
#pragma omp parallel num_threads(team)
  body(context, omp_get_thread_num(), omp_get_num_threads());
}

// A child made by fork has none of the parent's threads, but libgomp would wait for them (GCC bug 60035): the forking
// thread gives its pool back first, and parent and child each start a new one when they next need it.
inline void before_fork() { omp_pause_resource_all(omp_pause_hard); }

#elif defined(FASTNN_THREADS_std)

inline const char* backend() { return "std"; }
inline thread_local bool in_team = false;
inline bool inside() { return in_team; }

inline void run_team(int team, Body body, void* context) {
  std::vector<std::thread> threads;
  std::promise<int> promise;  // how many there are, once that is known: members may wait for each other
  const std::shared_future<int> size = promise.get_future().share();
  try {
    for (int member = 1; member < team; ++member)
      threads.emplace_back([=] {
        in_team = true;
        body(context, member, size.get());
      });
  } catch (const std::system_error&) {
  }
  const int members = static_cast<int>(threads.size()) + 1;
  promise.set_value(members);
  in_team = true;
  body(context, 0, members);
  in_team = false;
  for (std::thread& thread : threads) thread.join();
}

inline void before_fork() {}

#else

inline const char* backend() { return "serial"; }
inline bool inside() { return false; }
inline void run_team(int, Body body, void* context) { body(context, 0, 1); }
inline void before_fork() {}

#endif

}  // namespace parallel
}  // namespace fastnn

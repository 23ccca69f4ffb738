#include "runtime/isa.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace fastnn {

namespace baseline {
Kernels all_kernels();
}
#if defined(__x86_64__)
namespace avx2 {
Kernels all_kernels();
}
namespace avx512 {
Kernels all_kernels();
}
#endif

namespace {

struct Level {
  const char* name;
  Kernels (*kernels)();
  bool (*supported)();
};

// The builtin also asks the operating system whether it saves the wide registers.
const Level kLevels[] = {
    {"baseline", baseline::all_kernels, [] { return true; }},
#if defined(__x86_64__)
    {"avx2", avx2::all_kernels,
     [] {
       return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2");
     }},
    {"avx512", avx512::all_kernels,
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
              __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
     }},
#endif
};

constexpr int kLevelCount = sizeof kLevels / sizeof kLevels[0];

struct Chosen {
  Kernels tables[kLevelCount];
  std::atomic<int> level{0};

  Chosen() {
    for (int i = 0; i < kLevelCount; ++i) tables[i] = kLevels[i].kernels();
    const char* wanted = std::getenv("FASTNN_ISA");
    if (wanted && *wanted) {
      choose(wanted);
      return;
    }
    for (int i = 0; i < kLevelCount; ++i)
      if (kLevels[i].supported()) level = i;
  }

  void choose(const std::string& name) {
    std::string names;
    for (int i = 0; i < kLevelCount; ++i) {
      if (!kLevels[i].supported()) continue;
      if (name == kLevels[i].name) {
        level = i;
        return;
      }
      names += std::string(names.empty() ? "" : ", ") + kLevels[i].name;
    }
    throw std::invalid_argument("FASTNN_ISA: '" + name + "' is not available on this machine; expected one of " +
                                names);
  }
};

Chosen& chosen() {
  static Chosen c;
  return c;
}

}  // namespace

const Kernels& kernels() {
  Chosen& c = chosen();
  return c.tables[c.level.load(std::memory_order_relaxed)];
}

std::string isa() { return kLevels[chosen().level].name; }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Level& level : kLevels)
    if (level.supported()) names.push_back(level.name);
  return names;
}

void set_isa(const std::string& name) { chosen().choose(name); }

}  // namespace fastnn

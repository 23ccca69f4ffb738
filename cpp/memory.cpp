#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <list>
#include <mutex>
#include <new>
#include <stdexcept>
#include <unordered_map>

namespace fastnn {
namespace {

constexpr int64_t kAlign = 64;
// Large blocks ask for huge pages: 512 times fewer page faults and entries of the page table's cache.
constexpr int64_t kHuge = 2 << 20, kHugePage = 2 << 20;

// Sizes are rounded up to one of four steps per power of two: at most 25 % is wasted, and near sizes share blocks.
int64_t size_class(int64_t bytes) {
  if (bytes <= 4 * kAlign) return (bytes + kAlign - 1) / kAlign * kAlign + (bytes == 0 ? kAlign : 0);
  int64_t power = 1;
  while (power * 2 <= bytes) power *= 2;
  const int64_t step = power / 4;
  return checked_add(bytes, step - 1) / step * step;
}

struct Cache {
  std::mutex mutex;
  std::unordered_map<void*, int64_t> used;           // block -> bytes
  std::list<std::pair<void*, int64_t>> free_blocks;  // oldest first
  std::unordered_map<int64_t, std::list<std::list<std::pair<void*, int64_t>>::iterator>> by_size;
  MemoryStats stats{0, 0, 0};

  void* take(int64_t bytes) {
    const auto found = by_size.find(bytes);
    if (found == by_size.end() || found->second.empty()) return nullptr;
    const auto entry = found->second.back();  // the warmest one
    found->second.pop_back();
    if (found->second.empty()) by_size.erase(found);
    void* block = entry->first;
    free_blocks.erase(entry);
    stats.cached_bytes -= bytes;
    return block;
  }

  void drop_oldest() {
    const auto [block, bytes] = free_blocks.front();
    auto& same = by_size[bytes];
    same.pop_front();
    if (same.empty()) by_size.erase(bytes);
    free_blocks.pop_front();
    stats.cached_bytes -= bytes;
    std::free(block);
  }

  // Drops the oldest free blocks until all that is held, with `bytes` more in use, is at most twice the peak. Free
  // blocks up to the peak alone would be too few: backward needs a few sizes that forward does not, so that every step
  // of training would drop blocks and make them anew.
  void make_room(int64_t bytes) {
    const int64_t in_use = stats.in_use_bytes + bytes, peak = in_use > stats.peak_bytes ? in_use : stats.peak_bytes;
    while (!free_blocks.empty() && in_use + stats.cached_bytes > 2 * peak) drop_oldest();
  }
};

// Never destroyed: arrays may outlive the interpreter's modules and still return their blocks.
Cache& cache() {
  static Cache* c = new Cache;
  return *c;
}

struct Arena {
  float* data = nullptr;
  int64_t floats = 0;
  ~Arena() { std::free(data); }
};

// A block larger than the machine's memory is refused here: a system that overcommits would grant it, and end the
// process when the block is filled.
void* allocate(int64_t bytes) {
  static const int64_t limit = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  if (bytes > limit && limit > 0) throw std::bad_alloc();
  const int64_t align = bytes >= kHuge ? kHugePage : kAlign;
  const int64_t whole = checked_add(bytes, align - 1) / align * align;
  void* block = std::aligned_alloc(static_cast<size_t>(align), static_cast<size_t>(whole));
  if (!block) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
  if (bytes >= kHuge) madvise(block, static_cast<size_t>(whole), MADV_HUGEPAGE);  // a hint: may fail
#endif
  return block;
}

}  // namespace

int64_t checked_mul(int64_t a, int64_t b) {
  int64_t r;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &r)) throw std::length_error("array size is too large");
  return r;
}

int64_t checked_add(int64_t a, int64_t b) {
  int64_t r;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &r)) throw std::length_error("array size is too large");
  return r;
}

void* acquire(int64_t bytes) {
  const int64_t rounded = size_class(bytes);
  Cache& c = cache();
  const std::lock_guard<std::mutex> lock(c.mutex);
  void* block = c.take(rounded);
  if (!block) {
    block = allocate(rounded);  // refuses what the machine does not have, so that the sums below cannot overflow
    c.make_room(rounded);
  }
  try {
    c.used.emplace(block, rounded);
  } catch (...) {
    std::free(block);
    throw;
  }
  c.stats.in_use_bytes += rounded;
  if (c.stats.in_use_bytes > c.stats.peak_bytes) c.stats.peak_bytes = c.stats.in_use_bytes;
  return block;
}

void release(void* block) noexcept {
  if (!block) return;
  Cache& c = cache();
  const std::lock_guard<std::mutex> lock(c.mutex);
  const auto found = c.used.find(block);
  const int64_t bytes = found->second;
  c.used.erase(found);
  c.stats.in_use_bytes -= bytes;
  try {
    c.free_blocks.emplace_back(block, bytes);
    c.by_size[bytes].push_back(std::prev(c.free_blocks.end()));
  } catch (...) {
    if (!c.free_blocks.empty() && c.free_blocks.back().first == block) c.free_blocks.pop_back();
    std::free(block);
    return;
  }
  c.stats.cached_bytes += bytes;
  c.make_room(0);
}

MemoryStats memory_stats() {
  Cache& c = cache();
  const std::lock_guard<std::mutex> lock(c.mutex);
  return c.stats;
}

void clear_cache() {
  Cache& c = cache();
  const std::lock_guard<std::mutex> lock(c.mutex);
  while (!c.free_blocks.empty()) c.drop_oldest();
  c.stats.peak_bytes = c.stats.in_use_bytes;
}

void lock_cache() { cache().mutex.lock(); }
void unlock_cache() { cache().mutex.unlock(); }

float* scratch(int64_t floats) {
  static thread_local Arena arena;
  if (floats > arena.floats) {
    std::free(arena.data);
    arena.data = nullptr;
    arena.floats = 0;
    arena.data = static_cast<float*>(allocate(size_class(checked_mul(floats, 4))));
    arena.floats = floats;
  }
  return arena.data;
}

}  // namespace fastnn

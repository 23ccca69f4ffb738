#include "runtime/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <stdexcept>

namespace fastnn {

// Links of two lists: of all free blocks, and of those of one size. It lives as long as its memory, so that to take a
// block and to give it back are a few pointers each.
struct Block {
  void* data;
  int64_t bytes;
  Block *older, *newer, *older_same, *newer_same;
};

namespace {

constexpr int64_t kAlign = 64;
// Large blocks ask for huge pages: 512 times fewer page faults and entries of the page table's cache. The outputs of a
// small network on a batch are 1 to 8 MB each, and a step of training goes through some forty of them: with pages of
// 4 KB it waits for the page table as much as for memory.
constexpr int64_t kHuge = 1 << 20, kHugePage = 2 << 20;

// Sizes are rounded up to one of four steps per power of two: at most 25 % is wasted, and near sizes share blocks.
// Large ones are whole huge pages, which the system hands out whole.
int64_t size_class(int64_t bytes) {
  if (bytes <= 4 * kAlign) return (bytes + kAlign - 1) / kAlign * kAlign + (bytes == 0 ? kAlign : 0);
  int64_t power = 1;
  while (power * 2 <= bytes) power *= 2;
  int64_t step = power / 4;
  if (bytes >= kHuge && step < kHugePage) step = kHugePage;
  return checked_add(bytes, step - 1) / step * step;
}

// Which of the sizes it is.
int size_index(int64_t rounded) {
  if (rounded <= 4 * kAlign) return static_cast<int>(rounded / kAlign);
  const int power = 63 - __builtin_clzll(static_cast<uint64_t>(rounded));
  return 4 * power + static_cast<int>((rounded >> (power - 2)) & 3);
}

// Blocks from the oldest to the newest, linked by two of their members.
template <Block* Block::* Older, Block* Block::* Newer>
struct Chain {
  Block *oldest = nullptr, *newest = nullptr;

  void add(Block* b) {
    b->*Older = newest, b->*Newer = nullptr;
    (newest ? newest->*Newer : oldest) = b;
    newest = b;
  }
  void remove(Block* b) {
    (b->*Older ? b->*Older->*Newer : oldest) = b->*Newer;
    (b->*Newer ? b->*Newer->*Older : newest) = b->*Older;
  }
};

// Large blocks are mappings of their own: an allocator would cut them from its heap, where what alignment leaves over
// and what is freed between others stay in memory.
bool is_mapped(int64_t bytes) { return bytes >= kHuge; }

void* map(int64_t bytes) {
  const int64_t all = checked_add(bytes, kHugePage);  // aligned by cutting off the ends
  void* mapping = mmap(nullptr, static_cast<size_t>(all), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  char* first = static_cast<char*>(mapping);
  const auto before = static_cast<int64_t>(-reinterpret_cast<uintptr_t>(first) & (kHugePage - 1));
  if (before) munmap(first, static_cast<size_t>(before));
  munmap(first + before + bytes, static_cast<size_t>(all - before - bytes));
#if defined(MADV_HUGEPAGE)
  madvise(first + before, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // a hint: may fail
#endif
  return first + before;
}

// Of a size that size_class gave. A block larger than the machine's memory is refused here: a system that overcommits
// would grant it, and end the process when the block is filled.
void* allocate(int64_t bytes) {
  static const int64_t limit = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  if (bytes > limit && limit > 0) throw std::bad_alloc();
  void* block = is_mapped(bytes) ? map(bytes) : std::aligned_alloc(kAlign, static_cast<size_t>(bytes));
  if (!block) throw std::bad_alloc();
  return block;
}

void deallocate(void* block, int64_t bytes) {
  if (is_mapped(bytes))
    munmap(block, static_cast<size_t>(bytes));
  else
    std::free(block);
}

struct Cache {
  std::mutex mutex;
  Chain<&Block::older, &Block::newer> free_blocks;
  Chain<&Block::older_same, &Block::newer_same> of_size[4 * 64];
  MemoryStats stats{0, 0, 0};

  void add(Block* b) {
    free_blocks.add(b);
    of_size[size_index(b->bytes)].add(b);
    stats.cached_bytes += b->bytes;
  }

  void remove(Block* b) {
    free_blocks.remove(b);
    of_size[size_index(b->bytes)].remove(b);
    stats.cached_bytes -= b->bytes;
  }

  void drop_oldest() {
    Block* b = free_blocks.oldest;
    remove(b);
    deallocate(b->data, b->bytes);
    delete b;
  }

  // Drops the oldest free blocks until all that is held, with `bytes` more in use, is at most twice the peak. Free
  // blocks up to the peak alone would be too few: backward needs a few sizes that forward does not, so that every step
  // of training would drop blocks and make them anew.
  void make_room(int64_t bytes) {
    const int64_t in_use = stats.in_use_bytes + bytes, peak = in_use > stats.peak_bytes ? in_use : stats.peak_bytes;
    while (free_blocks.oldest && in_use + stats.cached_bytes > 2 * peak) drop_oldest();
  }
};

// Never destroyed: arrays may outlive the interpreter's modules and still return their blocks.
Cache& cache() {
  static Cache* c = new Cache;
  return *c;
}

struct Arena {
  void* data = nullptr;
  int64_t bytes = 0;

  void clear() {
    if (data) deallocate(data, bytes);
    data = nullptr, bytes = 0;
  }
  ~Arena() { clear(); }
};

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

Block* acquire(int64_t bytes) {
  const int64_t rounded = size_class(bytes);
  Cache& c = cache();
  const std::lock_guard<std::mutex> lock(c.mutex);
  Block* block = c.of_size[size_index(rounded)].newest;  // the warmest one
  if (block) {
    c.remove(block);
  } else {
    block = new Block{};
    try {
      block->data = allocate(rounded);  // refuses what the machine does not have, so that the sums cannot overflow
    } catch (...) {
      delete block;
      throw;
    }
    block->bytes = rounded;
    c.make_room(rounded);
  }
  c.stats.in_use_bytes += rounded;
  if (c.stats.in_use_bytes > c.stats.peak_bytes) c.stats.peak_bytes = c.stats.in_use_bytes;
  return block;
}

void* data_of(const Block* block) { return block->data; }

void release(Block* block) noexcept {
  if (!block) return;
  Cache& c = cache();
  const std::lock_guard<std::mutex> lock(c.mutex);
  c.stats.in_use_bytes -= block->bytes;
  c.add(block);
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
  while (c.free_blocks.oldest) c.drop_oldest();
  c.stats.peak_bytes = c.stats.in_use_bytes;
}

void lock_cache() { cache().mutex.lock(); }
void unlock_cache() { cache().mutex.unlock(); }

float* scratch(int64_t floats) {
  static thread_local Arena arena;
  const int64_t bytes = checked_mul(floats, 4);
  if (bytes > arena.bytes) {
    arena.clear();
    const int64_t rounded = size_class(bytes);
    arena.data = allocate(rounded);
    arena.bytes = rounded;
  }
  return static_cast<float*>(arena.data);
}

}  // namespace fastnn

// Memory of the kernels: checked sizes, an arena of scratch per thread, and a bounded cache of blocks for outputs.
// All blocks start on a 64-byte boundary (one cache line, one AVX-512 vector).
#pragma once
#include <cstddef>
#include <cstdint>

namespace fastnn {

// Product and sum of sizes; throw std::length_error when the result does not fit or an operand is negative.
int64_t checked_mul(int64_t a, int64_t b);
int64_t checked_add(int64_t a, int64_t b);

struct Block;  // a piece of memory, and its place in the cache

// A block of at least `bytes` bytes from the cache, contents undefined; throws std::bad_alloc. release() returns it.
// Free blocks are kept for the next acquire, and the oldest dropped where they and those in use would be more than
// twice the peak of what was in use at one time: memory does not grow with the number of shapes seen.
Block* acquire(int64_t bytes);
void* data_of(const Block* block);
void release(Block* block) noexcept;

struct MemoryStats {
  int64_t in_use_bytes;  // handed out
  int64_t cached_bytes;  // free blocks kept
  int64_t peak_bytes;    // largest in_use_bytes so far
};
MemoryStats memory_stats();
void clear_cache();  // gives every free block back to the system

// Around a fork: no other thread may hold the cache's lock at that moment, or the child would wait for it for ever.
void lock_cache();
void unlock_cache();

// Scratch of the calling thread, at least `floats` floats; valid until the thread's next call.
float* scratch(int64_t floats);

// A block held for the length of a C++ scope.
class Workspace {
 public:
  explicit Workspace(int64_t floats) : block_(acquire(checked_mul(floats, 4))) {}
  ~Workspace() { release(block_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  float* data() const { return static_cast<float*>(data_of(block_)); }

 private:
  Block* block_;
};

}  // namespace fastnn

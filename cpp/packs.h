// Packed weights, kept from call to call. A pack belongs to the array that owns the weights and dies with it; it is
// used again only while a digest of the weights' bits is the one it was made from, so weights may be changed in place,
// by anyone, at any time.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "memory.h"

namespace fastnn {

// What a pack depends on beside the bits: the weights' address first, then the kernel and the shape.
using PackKey = std::vector<int64_t>;
using Digest = std::vector<uint32_t>;

// The pack of `owner` under that key and digest; null where there is none.
std::shared_ptr<const Workspace> find_pack(const void* owner, const PackKey& key, const Digest& digest);
// Keeps a pack, in place of an older one under that key. Whether the owner was not known yet.
bool keep_pack(const void* owner, const PackKey& key, Digest digest, std::shared_ptr<const Workspace> pack);
void forget_packs(const void* owner);

// Around a fork, as lock_cache.
void lock_packs();
void unlock_packs();

}  // namespace fastnn

// Packed weights, kept from call to call. A pack belongs to the owner of the weights' memory and dies with it; it is
// used again only while a digest of the weights' bits is the one it was made from, so weights may be changed in place,
// by anyone, at any time.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <vector>

#include "ops/view.h"
#include "runtime/memory.h"

namespace fastnn {

// What a pack depends on beside the bits: the weights' address and the ISA level first, then the kernel and the shape.
using PackKey = std::vector<int64_t>;
using Digest = std::vector<uint32_t>;
using Pack = std::shared_ptr<const Workspace>;

void add_digest(const float* x, int64_t size, Digest& digest);

// The place of a pack: its owner, its key and the digest of what it is made from, which may be looked up and filled.
class PackPlace {
 public:
  // Of `weight` and `others`, which are dense or no arrays. `key`: whatever the layout depends on beside their bits.
  PackPlace(const Weight& weight, std::initializer_list<const Floats*> others, PackKey key);
  Pack find() const;     // null where there is none
  void keep(Pack pack);  // in place of an older one under that key

 private:
  void* owner_;
  PackKey key_;
  Digest digest_;
};

// The pack, found or made: fill(float*) fills a new block.
template <class Fill>
Pack packed_together(const Weight& weight, std::initializer_list<const Floats*> others, PackKey key, int64_t floats,
                     Fill fill) {
  PackPlace place(weight, others, std::move(key));
  Pack pack = place.find();
  if (pack) return pack;
  pack = std::make_shared<Workspace>(floats);
  fill(pack->data());
  place.keep(pack);
  return pack;
}

// watch(owner) is called where an owner is first given a pack; whoever made the owner tells when it dies.
void watch_owners(void (*watch)(void* owner));
void forget_packs(const void* owner);

// Locks the packs around a fork, so that no other thread holds them at that moment; called once at import, after
// install_fork_handler: the last to be installed is the first to run.
void install_pack_fork_handler();

}  // namespace fastnn

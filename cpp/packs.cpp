#include "packs.h"

#include <mutex>
#include <utility>

namespace fastnn {
namespace {

struct Pack {
  Digest digest;
  std::shared_ptr<const Workspace> block;
};

struct Packs {
  std::mutex mutex;
  std::map<const void*, std::map<PackKey, Pack>> of;  // owner -> packs
};

// Never destroyed: arrays may outlive the interpreter's modules.
Packs& packs() {
  static Packs* p = new Packs;
  return *p;
}

}  // namespace

std::shared_ptr<const Workspace> find_pack(const void* owner, const PackKey& key, const Digest& digest) {
  Packs& p = packs();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto owned = p.of.find(owner);
  if (owned == p.of.end()) return nullptr;
  const auto found = owned->second.find(key);
  return found != owned->second.end() && found->second.digest == digest ? found->second.block : nullptr;
}

bool keep_pack(const void* owner, const PackKey& key, Digest digest, std::shared_ptr<const Workspace> pack) {
  Packs& p = packs();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto [owned, added] = p.of.try_emplace(owner);
  Pack& slot = owned->second[key];
  slot.digest = std::move(digest);
  slot.block.swap(pack);
  return added;
}

void forget_packs(const void* owner) {
  Packs& p = packs();
  std::map<PackKey, Pack> freed;  // after the lock is released
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto owned = p.of.find(owner);
  if (owned == p.of.end()) return;
  freed.swap(owned->second);
  p.of.erase(owned);
}

void lock_packs() { packs().mutex.lock(); }
void unlock_packs() { packs().mutex.unlock(); }

}  // namespace fastnn

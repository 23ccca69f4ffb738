#include "ops/packs.h"

#include <pthread.h>

#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "contract/gemm.h"
#include "runtime/isa.h"
#include "runtime/launch.h"

namespace fastnn {
namespace {

struct Kept {
  Digest digest;
  Pack block;
};

struct Packs {
  std::mutex mutex;
  std::map<const void*, std::map<PackKey, Kept>> of;  // owner -> packs
  std::atomic<void (*)(void*)> watch{nullptr};
};

// Never destroyed: owners may outlive the interpreter's modules.
Packs& packs() {
  static Packs* p = new Packs;
  return *p;
}

}  // namespace

void add_digest(const float* x, int64_t size, Digest& digest) {
  const GemmKernels& k = *kernels().gemm;
  const size_t before = digest.size();
  digest.resize(before + k.digest_words(size));
  launch(k.digest, DigestArgs{size, x, digest.data() + before});
}

PackPlace::PackPlace(const Weight& weight, std::initializer_list<const Floats*> others, PackKey key)
    : owner_(weight.owner), key_(std::move(key)) {
  if (!owner_) return;
  key_.insert(key_.begin(), {reinterpret_cast<intptr_t>(weight.data), reinterpret_cast<intptr_t>(&kernels())});
  add_digest(weight.data, weight.size(), digest_);
  for (const Floats* other : others)
    if (*other) add_digest(other->data, other->size(), digest_);
}

Pack PackPlace::find() const {
  if (!owner_) return nullptr;
  Packs& p = packs();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto owned = p.of.find(owner_);
  if (owned == p.of.end()) return nullptr;
  const auto found = owned->second.find(key_);
  return found != owned->second.end() && found->second.digest == digest_ ? found->second.block : nullptr;
}

void PackPlace::keep(Pack pack) {
  if (!owner_) return;
  Packs& p = packs();
  bool added;
  {
    const std::lock_guard<std::mutex> lock(p.mutex);
    const auto owned = p.of.try_emplace(owner_);
    added = owned.second;
    Kept& slot = owned.first->second[key_];
    slot.digest = std::move(digest_);
    slot.block.swap(pack);
  }
  if (const auto watch = p.watch.load(); added && watch) watch(owner_);  // not under the lock: it may wait for others
}

void watch_owners(void (*watch)(void* owner)) { packs().watch = watch; }

void forget_packs(const void* owner) {
  Packs& p = packs();
  std::map<PackKey, Kept> freed;  // after the lock is released
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto owned = p.of.find(owner);
  if (owned == p.of.end()) return;
  freed.swap(owned->second);
  p.of.erase(owned);
}

void install_pack_fork_handler() {
  static std::atomic<bool> installed{false};
  if (installed.exchange(true)) return;
  const auto unlock = [] { packs().mutex.unlock(); };
  pthread_atfork([] { packs().mutex.lock(); }, unlock, unlock);
}

}  // namespace fastnn

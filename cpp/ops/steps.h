// What an op does, step by step: kernels with their args, packings of weights, and a few lines in between. An op is
// written once, against Steps, which run each step at once (eager) or keep it, to be run any number of times: a list
// without Python, over memory that the caller owns. Both do the same in the same order, so they give the same bits.
//
//   Steps steps;                     relu(steps, x, y);                  eager: y is there
//   Steps steps(Steps::Mode::kept);  relu(steps, x, y);  steps.prepare();  steps.run();  steps.run();
//
// Steps that depend on nothing but weights (packs, sums of biases) are prepared apart, so that a list whose weights
// stay the same need not do them again. Eager finds packs by the bits of their weights (packs.h); kept steps own
// theirs, and whoever changes weights prepares again.
#pragma once
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ops/packs.h"
#include "runtime/launch.h"

namespace fastnn {

class Steps {
 public:
  enum class Mode { eager, kept };
  explicit Steps(Mode mode = Mode::eager) : kept_(mode == Mode::kept) {}
  Steps(const Steps&) = delete;
  Steps& operator=(const Steps&) = delete;

  // A kernel, with a workspace that is the step's own. Eager allocates nothing else.
  template <class Args>
  void add(const Kernel<Args>& kernel, const Args& args) {
    if (!kept_) return launch(kernel, args);
    keep(steps_, [&kernel, placed = with_workspace(kernel, args)] { run_phases(kernel, placed); });
  }

  // Calls of one kernel that do not depend on each other, side by side. All have the same number of steps.
  template <class Args>
  void add(const SteppedKernel<Args>& kernel, const std::vector<Args>& calls) {
    if (!kept_ && !kernel.workspace) return run_steps_of(kernel, calls.data(), calls.size());
    std::vector<Args> placed;
    for (const Args& args : calls) placed.push_back(with_workspace(kernel, args));
    call([&kernel, placed = std::move(placed)] { run_steps_of(kernel, placed.data(), placed.size()); });
  }

  // Some lines that are no kernel, on this thread. They capture by value, and point at nothing that the steps outlive.
  template <class Lines>
  void call(Lines lines) {
    if (!kept_) return lines();
    keep(steps_, std::move(lines));
  }

  // The same, of weights alone.
  template <class Lines>
  void call_on_weights(Lines lines) {
    if (!kept_) return lines();
    keep(of_weights_, std::move(lines));
  }

  // What fill(float*) makes of `weight` and `others`; it captures as lines do. `key`: whatever the layout depends on
  // beside their bits. Lives as long as the steps.
  template <class Fill>
  const float* pack(const Weight& weight, std::initializer_list<const Floats*> others, PackKey key, int64_t floats,
                    Fill fill) {
    if (!kept_) {
      owned_.push_back(packed_together(weight, others, std::move(key), floats, fill));
      return owned_.back()->data();
    }
    float* block = room(floats);
    keep(of_weights_, [fill, block] { fill(block); });
    return block;
  }

  // Memory between steps, contents undefined. Lives as long as the steps.
  float* room(int64_t floats) {
    owned_.push_back(std::make_shared<Workspace>(floats));
    return owned_.back()->data();
  }

  // Numbers of the op that steps point at. Eager they stay where they are, in the caller's scope.
  const int64_t* lasting(const std::vector<int64_t>& numbers) {
    if (!kept_) return numbers.data();
    numbers_.push_back(std::make_unique<std::vector<int64_t>>(numbers));
    return numbers_.back()->data();
  }

  // From here on subnormal numbers count as zero (FlushSubnormals); eager on this thread until the steps are gone.
  void flush_subnormals() {
    if (!kept_) eager_flush_.emplace();
    flush_ = true;
  }

  // Kept steps, in their order. Before the first run, and again where a weight has changed: prepare.
  void prepare() const { run(of_weights_); }
  void run() const { run(steps_); }

 private:
  struct Step {
    std::function<void()> run;
    bool flush;
  };

  template <class AKernel, class Args>
  Args with_workspace(const AKernel& kernel, Args args) {
    const int64_t floats = kernel.workspace ? kernel.workspace(args) : 0;
    if (floats) args.*kernel.place = room(floats);
    return args;
  }

  template <class Run>
  void keep(std::vector<Step>& list, Run run) {
    list.push_back({std::move(run), flush_});
  }

  static void run(const std::vector<Step>& list) {
    for (const Step& step : list) {
      std::optional<FlushSubnormals> flush;
      if (step.flush) flush.emplace();
      step.run();
    }
  }

  const bool kept_;
  bool flush_ = false;
  std::optional<FlushSubnormals> eager_flush_;
  std::vector<Step> of_weights_, steps_;
  std::vector<Pack> owned_;
  std::vector<std::unique_ptr<std::vector<int64_t>>> numbers_;
};

}  // namespace fastnn

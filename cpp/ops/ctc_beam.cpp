#include "ops/ctc_beam.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <new>
#include <unordered_map>

#include "ops/check.h"
#include "ops/ctc.h"
#include "runtime/memory.h"
#include "runtime/threads.h"

namespace fastnn {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

double log_add(double a, double b) {
  if (a < b) std::swap(a, b);
  return b == kNever ? a : a + std::log1p(std::exp(b - a));
}

struct CtcBeam {
  int64_t t, n, c, blank, width;
  const float* x;         // (t, n, c)
  const int64_t* frames;  // (n), in [0, t]
};

// A prefix is a node of a tree: its last label after the prefix of its parent. Equal prefixes are the same node.
struct Node {
  int64_t parent, label;
  int64_t place;  // in the beam, -1: not there
};

struct Entry {
  int64_t node;
  double blank, label;  // log of the probability of the alignments that end with a blank, with the last label
  double total() const { return log_add(blank, label); }
};

// An entry of the next beam: an old one that stays (label -1), or its extension.
struct Candidate {
  double score;
  int64_t from, label;
};
// Equal scores: in the order of the beam, what stays before what is longer, then by label.
bool better(const Candidate& a, const Candidate& b) {
  if (a.score != b.score) return a.score > b.score;
  return a.from != b.from ? a.from < b.from : a.label < b.label;
}

class Search {
 public:
  Search(const CtcBeam& a) : a_(a), excluded_(a.c, -1) {}

  std::vector<CtcLabelling> run(int64_t n) {
    nodes_ = {{-1, a_.blank, 0}};
    beam_ = {{0, 0, kNever}};
    for (int64_t t = 0; t < a_.frames[n]; ++t) step(a_.x + (t * a_.n + n) * a_.c);
    std::vector<CtcLabelling> found;
    for (const Entry& e : beam_) {
      CtcLabelling one{{}, e.total()};
      for (int64_t node = e.node; node > 0; node = nodes_[node].parent) one.labels.push_back(nodes_[node].label);
      std::reverse(one.labels.begin(), one.labels.end());
      found.push_back(std::move(one));
    }
    return found;
  }

 private:
  static double at(const float* x, int64_t c) { return std::isnan(x[c]) ? kNever : x[c]; }

  void step(const float* x) {
    const int64_t size = static_cast<int64_t>(beam_.size());
    std::vector<Entry> stay(beam_);
    std::vector<double> totals(size);
    for (int64_t i = 0; i < size; ++i) {
      const Entry& e = beam_[i];
      totals[i] = e.total();
      stay[i].blank = at(x, a_.blank) + totals[i];
      stay[i].label = e.node ? at(x, nodes_[e.node].label) + e.label : kNever;
    }
    // Extensions that are in the beam already belong to what stays.
    std::vector<std::vector<int64_t>> children(size);
    for (int64_t i = 0; i < size; ++i) {
      const Node& node = nodes_[beam_[i].node];
      const int64_t parent = node.parent < 0 ? -1 : nodes_[node.parent].place;
      if (parent < 0) continue;
      children[parent].push_back(node.label);
      const Entry& e = beam_[parent];
      // A label after itself needs a blank between them.
      const double before = nodes_[e.node].label == node.label ? e.blank : totals[parent];
      stay[i].label = log_add(stay[i].label, at(x, node.label) + before);
    }
    std::vector<Candidate> best = select(x, stay, totals, children);
    std::sort(best.begin(), best.end(), better);
    advance(best, stay);
  }

  // The best `width` candidates (none with NaN), as a heap whose first is the worst.
  std::vector<Candidate> select(const float* x, const std::vector<Entry>& stay, const std::vector<double>& totals,
                                const std::vector<std::vector<int64_t>>& children) {
    std::vector<Candidate> heap;
    const auto offer = [&](const Candidate& c) {
      if (!(c.score > kNever)) return;
      if (static_cast<int64_t>(heap.size()) == a_.width) {
        if (!better(c, heap.front())) return;
        std::pop_heap(heap.begin(), heap.end(), better);
        heap.pop_back();
      }
      heap.push_back(c);
      std::push_heap(heap.begin(), heap.end(), better);
    };
    for (int64_t i = 0; i < static_cast<int64_t>(stay.size()); ++i) offer({stay[i].total(), i, -1});
    for (int64_t i = 0; i < static_cast<int64_t>(stay.size()); ++i) {
      for (const int64_t label : children[i]) excluded_[label] = stamp_;
      const int64_t last = nodes_[beam_[i].node].label;
      for (int64_t c = 0; c < a_.c; ++c) {
        const double score = x[c] + (c == last ? beam_[i].blank : totals[i]);
        const double worst = static_cast<int64_t>(heap.size()) < a_.width ? kNever : heap.front().score;
        if (score >= worst && c != a_.blank && excluded_[c] != stamp_) offer({score, i, c});
      }
      ++stamp_;
    }
    return heap;
  }

  void advance(const std::vector<Candidate>& best, const std::vector<Entry>& stay) {
    std::vector<Entry> next;
    for (const Candidate& c : best) {
      if (c.label < 0)
        next.push_back(stay[c.from]);
      else
        next.push_back({child(beam_[c.from].node, c.label), kNever, c.score});
    }
    for (const Entry& e : beam_) nodes_[e.node].place = -1;
    for (size_t i = 0; i < next.size(); ++i) nodes_[next[i].node].place = static_cast<int64_t>(i);
    beam_ = std::move(next);
  }

  int64_t child(int64_t node, int64_t label) {
    const int64_t fresh = static_cast<int64_t>(nodes_.size());
    const auto [found, added] = children_.try_emplace(checked_add(checked_mul(node, a_.c), label), fresh);
    if (added) nodes_.push_back({node, label, -1});
    return found->second;
  }

  const CtcBeam& a_;
  std::vector<Node> nodes_;  // the root, the empty prefix, is the first
  std::unordered_map<int64_t, int64_t> children_;
  std::vector<Entry> beam_;
  std::vector<int64_t> excluded_;  // stamp of the last entry whose extension by that label is in the beam
  int64_t stamp_ = 0;
};

struct Call {
  const CtcBeam* beam;
  std::vector<std::vector<CtcLabelling>>* found;
  std::atomic<bool>* failed;
};

}  // namespace

std::vector<std::vector<CtcLabelling>> ctc_beam(int64_t blank, int64_t width, const Floats& log_probs,
                                                const Ints& frames) {
  const char* op = "ctc_beam_decode";
  check_ctc_blank(log_probs, blank, op);
  check_ctc_frames(log_probs, frames, op);
  check(width >= 1 && width < int64_t{1} << 31, op,
        [&] { return "beam_width is " + std::to_string(width) + ", expected at least 1"; });
  const int64_t* sizes = log_probs.sizes;
  const CtcBeam a{sizes[0], sizes[1], sizes[2], blank, width, log_probs.data, frames.data};
  std::vector<std::vector<CtcLabelling>> found(a.n);
  std::atomic<bool> failed{false};
  const Call call{&a, &found, &failed};
  run_tasks(
      [](const void* context, int64_t begin, int64_t end, float*) {
        const Call& c = *static_cast<const Call*>(context);
        try {  // nothing may leave a team by exception
          for (int64_t n = begin; n < end; ++n) (*c.found)[n] = Search(*c.beam).run(n);
        } catch (...) {
          *c.failed = true;
        }
      },
      &call, a.n, 0);
  if (failed) throw std::bad_alloc();
  return found;
}

}  // namespace fastnn

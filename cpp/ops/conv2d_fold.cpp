// Which fold a convolution is; conv2d_turn.cpp turns the arrays.
#include "ops/conv2d_fold.h"

#include <algorithm>

namespace fastnn {
namespace {

constexpr int64_t kFewPixels = 13;  // fewer than the rows of the tallest tile
constexpr int64_t kShortRow = 6;    // positions in a row that leave half of it empty
constexpr int64_t kPositions = 16;  // and most of all positions that are gathered
constexpr int64_t kFilters = 16;    // that share a copy

struct Taps {
  int64_t first, count;
};

// The taps that see the image at some position, all between the first and the last of them; one where there is none.
// One position may begin anywhere; of several, the first begins at the image's border or outside.
Taps seen_taps(int64_t size, int64_t positions, int64_t stride, int64_t dilation, int64_t pad, int64_t taps) {
  const auto sees = [&](int64_t tap) {
    const int64_t at = tap * dilation - pad;  // of the first position
    if (at >= 0) return at < size;
    const int64_t moves = (-at + stride - 1) / stride;
    return moves < positions && at + moves * stride < size;
  };
  // No tap before `first` reaches the image, however far it moves: only these are worth a look.
  int64_t first = std::max<int64_t>(0, (pad - (positions - 1) * stride + dilation - 1) / dilation);
  int64_t last = std::min(taps - 1, (size - 1 + pad) / dilation);
  while (first < last && !sees(first)) ++first;
  while (last > first && !sees(last)) --last;
  if (first >= taps || first > last || !sees(first)) return {0, 1};
  if (positions > 1) first = std::min(first, pad / dilation);
  return {first, last - first + 1};
}

// How many of an axis' pairs of position and tap see the image.
int64_t seen_pairs(int64_t size, int64_t positions, int64_t stride, int64_t dilation, int64_t at, int64_t taps) {
  int64_t pairs = 0;
  for (int64_t o = 0; o < positions; ++o)
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t pixel = o * stride + t * dilation + at;
      pairs += pixel >= 0 && pixel < size;
    }
  return pairs;
}

// Whether tiles along a row of positions, or along the one column of them, would be short, and few copies help: of
// pixels, not of padding.
bool gather_pays(const Conv2d& g, const Taps& high, const Taps& wide) {
  const int64_t along = g.ow == 1 ? g.oh : g.ow;
  const bool few = g.groups == 1 && g.k < kFilters;
  if (few || along > kShortRow || g.oh * g.ow > kPositions || high.count * wide.count == 1) return false;
  const int64_t y = high.first * g.dilation_h - g.pad_top, x = wide.first * g.dilation_w - g.pad_left;
  const int64_t pairs = seen_pairs(g.h, g.oh, g.stride_h, g.dilation_h, y, high.count) *
                        seen_pairs(g.w, g.ow, g.stride_w, g.dilation_w, x, wide.count);
  return 10 * pairs >= 9 * g.oh * g.ow * high.count * wide.count;
}

}  // namespace

int64_t Fold::leading_taps() const { return kind == Kind::column ? kw : kind == Kind::gather ? kh * kw : 1; }

bool Fold::channels_first(bool of_x) const {
  if (kind == Kind::product && g.kh * g.kw > 1) return true;
  return of_x && outer.x_nchw &&
         (kind == Kind::whole || seen.cols * seen.rows == 1 || (kind == Kind::column && kw == 1));
}

void Fold::add_to(PackKey& key) const {
  key.insert(key.end(), {static_cast<int64_t>(kind), first_y, first_x, outer.kh, outer.kw});
}

Fold whole_fold(const Conv2d& g) { return {Fold::Kind::whole, g, g, 0, 0, g.kh, g.kw, {0, 0, g.h, g.w, 1, 1}}; }

Fold fold_of(const Conv2d& g, bool products, bool gathers) {
  const Taps high = seen_taps(g.h, g.oh, g.stride_h, g.dilation_h, g.pad_top, g.kh);
  const Taps wide = seen_taps(g.w, g.ow, g.stride_w, g.dilation_w, g.pad_left, g.kw);
  if (g.n == 0 || g.c == 0 || g.h == 0 || g.w == 0) return whole_fold(g);  // nothing is seen, whatever is left out
  Fold f = whole_fold(g);
  f.first_y = high.first, f.first_x = wide.first, f.kh = high.count, f.kw = wide.count;
  const int64_t y = high.first * g.dilation_h - g.pad_top, x = wide.first * g.dilation_w - g.pad_left;
  const bool inside = y >= 0 && x >= 0 && y < g.h && x < g.w;
  f.g.kh = f.kh, f.g.kw = f.kw;
  if (products && g.oh == 1 && g.ow == 1 && inside) {
    f.kind = Fold::Kind::product;
    f.seen = {y, x, f.kh, f.kw, g.dilation_h, g.dilation_w};
    return f;
  }
  const bool dense = y == 0 && x == 0 && g.stride_h == 1 && g.stride_w == 1 && g.oh == g.h && g.ow == g.w;
  if (products && f.kh == 1 && f.kw == 1 && dense && g.h * g.w <= kFewPixels) {
    f.kind = Fold::Kind::product;
    return f;
  }
  if (products && gathers && gather_pays(g, high, wide)) {
    f.kind = Fold::Kind::gather;
    return f;
  }
  if (g.ow == 1 && x >= 0 && x < g.w && (g.groups == 1 || f.kw == 1)) {
    f.kind = Fold::Kind::column;
    f.seen = {0, x, g.h, f.kw, 1, g.dilation_w};
    f.g.c = f.kw * g.c, f.g.h = 1, f.g.w = g.h, f.g.kh = 1, f.g.kw = f.kh, f.g.oh = 1, f.g.ow = g.oh;
    f.g.stride_h = 1, f.g.stride_w = g.stride_h;
    f.g.dilation_h = 1, f.g.dilation_w = f.kh == 1 ? 1 : g.dilation_h;
    f.g.pad_top = 0, f.g.pad_left = g.pad_top - f.first_y * g.dilation_h;
    f.g.x_nchw = f.channels_first(true);
    if (f.g.pad_left >= 0) return f;
    f.kind = Fold::Kind::whole, f.g = g, f.seen = {0, 0, g.h, g.w, 1, 1};
  }
  // The kernels count padding from 0 on: where the first tap that is left begins inside, those before it stay.
  const auto keep = [](int64_t pad, int64_t dilation, int64_t& first, int64_t& count) {
    const int64_t more = std::max<int64_t>(0, first - pad / dilation);
    first -= more, count += more;
    return pad - first * dilation;
  };
  f.g.pad_top = keep(g.pad_top, g.dilation_h, f.first_y, f.kh);
  f.g.pad_left = keep(g.pad_left, g.dilation_w, f.first_x, f.kw);
  f.g.kh = f.kh, f.g.kw = f.kw;
  if (f.kh == 1) f.g.dilation_h = 1;
  if (f.kw == 1) f.g.dilation_w = 1;
  return f;
}

}  // namespace fastnn

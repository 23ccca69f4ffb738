// A convolution that sees one position along an axis is a simpler one. What the kernels are given instead of what the
// caller has, chosen from the shape of a sample and of the filters only, and the arrays turned from one into the other:
//   whole    as it is
//   column   one position along the width: what a row of the kernel sees, (kx, c), are the channels, and the height
//            takes the place of the width: tiles are rows of outputs
//   product  one position in all, or a single tap on few pixels: rows of x times the filters (conv2d_product.cpp)
//   gather   few positions, too few in a row for a tile: the same, with what each of them sees copied to a row
// In each, taps that meet nothing but padding are left out. Where a kernel is as wide as the image nothing is copied.
#pragma once
#include "contract/conv.h"
#include "ops/packs.h"

namespace fastnn {

// Pixels of an image: rows y, y + step_y, ... and columns x, x + step_x, ...
struct Region {
  int64_t y, x, rows, cols, step_y, step_x;
};

struct Fold {
  enum class Kind { whole, column, product, gather };
  Kind kind;
  Conv2d outer;              // as the caller has it
  Conv2d g;                  // as the kernels have it; of a product, the whole one with its taps
  int64_t first_y, first_x;  // the first tap that is not left out
  int64_t kh, kw;            // and how many taps there are from it on
  Region seen;               // what of the image is read, where it is not whole

  bool is_product() const { return kind == Kind::product || kind == Kind::gather; }
  bool crops() const { return kh != outer.kh || kw != outer.kw; }
  bool sees_all() const { return seen.rows == outer.h && seen.cols == outer.w; }
  // Whether the kernels have x, or dx, as (n, c, h, w); their dx is channels-last where the caller's x is not.
  bool channels_first(bool of_x) const;
  int64_t rows() const { return outer.n * outer.oh * outer.ow; }          // of a product
  int64_t depth() const { return outer.c / outer.groups * g.kh * g.kw; }  // and of a group, its sums
  int64_t weight_floats() const { return outer.k * outer.c / outer.groups * kh * kw; }
  int64_t image_floats() const { return outer.n * outer.c * seen.rows * seen.cols; }
  int64_t gathered_floats() const { return rows() * kh * kw * outer.c; }
  int64_t leading_taps() const;  // of the filters as the kernels have them: so many go before the channels
  void add_to(PackKey& key) const;
};

Fold whole_fold(const Conv2d& g);  // nothing is folded
// products, gathers: whether a product, with copies of what is seen, may be chosen.
Fold fold_of(const Conv2d& g, bool products, bool gathers);

// Turning arrays takes memory, `room`: so many floats. What the kernels read or write then lies at its front. 0: there
// is nothing to turn, and they have the array itself.
int64_t weight_room(const Fold& fold);
int64_t image_room(const Fold& fold);     // of x
int64_t gradient_room(const Fold& fold);  // of dx
void fold_weight(const Fold& fold, const float* weight, float* room);
void fold_image(const Fold& fold, const float* x, float* room);
void unfold_weight(const Fold& fold, float* room, float* dw);
void unfold_image(const Fold& fold, float* room, float* dx);

}  // namespace fastnn

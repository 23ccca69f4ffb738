#include "ops/maxpool2d.h"

#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {

MaxPool2d maxpool2d_geometry(const ImageSizes& x, const MaxPool2dOptions& o, const char* op) {
  MaxPool2d g{};
  g.n = x[0], g.c = x[1], g.h = x[2], g.w = x[3];
  g.kh = o.kernel[0], g.kw = o.kernel[1];
  g.stride_h = o.stride[0], g.stride_w = o.stride[1];
  g.dilation_h = o.dilation[0], g.dilation_w = o.dilation[1];
  g.pad_top = o.padding[0], g.pad_left = o.padding[1];
  g.oh = pooled_size(g.h, g.kh, g.stride_h, g.pad_top, g.dilation_h, o.ceil_mode, op);
  g.ow = pooled_size(g.w, g.kw, g.stride_w, g.pad_left, g.dilation_w, o.ceil_mode, op);
  check(checked_mul(g.kh, g.kw) < (int64_t{1} << 31), op, "the kernel has 2**31 taps or more");
  // Offsets of windows, also where they hang over the edge, and the work of a row of them.
  checked_mul(
      checked_mul(checked_add(g.h, checked_mul(g.dilation_h, g.kh)), checked_add(g.w, checked_mul(g.dilation_w, g.kw))),
      checked_mul(checked_add(g.c, 16), 64));
  checked_mul(checked_mul(g.ow, checked_mul(g.kh, g.kw)), checked_add(g.c, 16));
  return g;
}

bool maxpool2d_index_is_byte(const MaxPool2d& g) { return g.kh * g.kw <= 256; }

void maxpool2d_forward(Steps& steps, const MaxPool2d& g, const Floats& x, const Output& y, void* index) {
  const bool byte = maxpool2d_index_is_byte(g);
  steps.add(kernels().pool->maxpool2d_forward,
            MaxPool2dForward{g, x.data, y.data, byte ? static_cast<uint8_t*>(index) : nullptr,
                             byte ? nullptr : static_cast<int32_t*>(index)});
}

void maxpool2d_backward(Steps& steps, const MaxPool2d& g, const Floats& dy, const void* index, const Output& dx) {
  const bool byte = maxpool2d_index_is_byte(g);
  steps.add(kernels().pool->maxpool2d_backward,
            MaxPool2dBackward{g, dy.data, byte ? static_cast<const uint8_t*>(index) : nullptr,
                              byte ? nullptr : static_cast<const int32_t*>(index), dx.data});
}

}  // namespace fastnn

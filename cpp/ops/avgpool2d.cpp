#include "ops/avgpool2d.h"

#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {
namespace {

PoolAxis sliding(const ImageSizes& x, const AvgPool2dOptions& o, int axis, const char* op) {
  const int64_t size = x[2 + axis], kernel = o.kernel[axis], stride = o.stride[axis], padding = o.padding[axis];
  return {size, pooled_size(size, kernel, stride, padding, 1, o.ceil_mode, op), kernel, stride, padding};
}

PoolAxis adaptive(int64_t size, int64_t count, const char* op) {
  check(count >= 0, op, [&] { return "output size " + std::to_string(count) + " is negative"; });
  check(size >= 1, op, "the image is empty");
  checked_mul(checked_add(count, 1), checked_add(size, 1));
  return {size, count, 0, 0, 0};
}

AvgPool2d geometry(const ImageSizes& x, const PoolAxis& rows, const PoolAxis& columns, bool count_padding,
                   int64_t divisor, const char* op) {
  check(divisor >= 0, op, [&] { return "divisor " + std::to_string(divisor) + " is negative"; });
  checked_mul(checked_mul(rows.size, columns.size), checked_mul(checked_add(x[1], 16), 4));
  return {x[0], x[1], rows, columns, count_padding, divisor};
}

}  // namespace

AvgPool2d avgpool2d_geometry(const ImageSizes& x, const AvgPool2dOptions& o, const char* op) {
  const PoolAxis rows = sliding(x, o, 0, op), columns = sliding(x, o, 1, op);
  return geometry(x, rows, columns, o.count_include_pad, o.divisor_override, op);
}

AvgPool2d adaptive_avgpool2d_geometry(const ImageSizes& x, const Pair& output_size, const char* op) {
  const PoolAxis rows = adaptive(x[2], output_size[0], op), columns = adaptive(x[3], output_size[1], op);
  return geometry(x, rows, columns, false, 0, op);
}

void avgpool2d_forward(Steps& steps, const AvgPool2d& g, const Floats& x, const Output& y) {
  steps.add(kernels().pool->avgpool2d_forward, AvgPool2dForward{g, x.data, y.data});
}

void avgpool2d_backward(Steps& steps, const AvgPool2d& g, const Floats& dy, const Output& dx) {
  steps.add(kernels().pool->avgpool2d_backward, AvgPool2dBackward{g, dy.data, dx.data});
}

}  // namespace fastnn

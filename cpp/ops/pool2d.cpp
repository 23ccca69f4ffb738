#include "ops/pool2d.h"

#include "ops/check.h"
#include "runtime/memory.h"

namespace fastnn {

int64_t pooled_size(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode,
                    const char* op) {
  check(kernel >= 1 && stride >= 1 && dilation >= 1 && padding >= 0 && padding <= kernel / 2, op,
        "kernel, stride and dilation must be at least 1 and padding at most half of the kernel");
  check(kernel < (int64_t{1} << 31), op, "the kernel is 2**31 or larger");
  check(size >= 1, op, "the image is empty");
  const int64_t extent = checked_add(checked_mul(dilation, kernel - 1), 1);
  const int64_t padded = checked_add(size, checked_mul(padding, 2));
  checked_add(checked_add(padded, extent), checked_mul(stride, 2));
  const int64_t room = padded - extent + (ceil_mode ? stride - 1 : 0);
  check(room >= 0, op, [&] {
    return "padded input of size " + std::to_string(padded) + " is smaller than the kernel, which spans " +
           std::to_string(extent);
  });
  int64_t windows = room / stride + 1;
  if (ceil_mode && (windows - 1) * stride >= size + padding) --windows;
  return windows;
}

}  // namespace fastnn

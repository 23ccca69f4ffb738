#include "ops/mse_loss.h"

#include "contract/loss.h"
#include "runtime/isa.h"

namespace fastnn {

void mse_loss(Steps& steps, double scale, const Floats& x, const Floats& target, const Output& total,
              const Output& losses, const Output& dx) {
  MseLoss m{};
  m.size = x.size(), m.x = x.data, m.target = target.data, m.scale = scale;
  m.total = total.data, m.losses = losses.data, m.dx = dx.data;
  steps.add(kernels().loss->mse_loss, m);
}

}  // namespace fastnn

#include "ops/pointwise_loss.h"

#include "contract/loss.h"
#include "ops/check.h"
#include "runtime/isa.h"

namespace fastnn {

void pointwise_loss(Steps& steps, const std::string& name, const std::vector<double>& options, double scale,
                    const PointwiseLossArrays& arrays, const PointwiseLossResult& result) {
  const LossKernels& k = *kernels().loss;
  const auto end = k.pointwise + k.pointwise_count;
  const auto f = std::find_if(k.pointwise, end, [&](const PointwiseLossKernel& row) { return name == row.name; });
  check(f != end, "pointwise_loss", [&] { return "there is no function '" + name + "'"; });
  check(static_cast<int>(options.size()) == f->options, f->name,
        [&] { return std::to_string(options.size()) + " options, expected " + std::to_string(f->options); });
  check(f->weighted || !(arrays.weight || arrays.pos_weight), f->name, "has no weights");
  PointwiseLoss a{};
  a.size = arrays.x.size();
  std::copy(options.begin(), options.end(), a.options);
  a.x = arrays.x.data, a.target = arrays.target.data;
  a.weight = arrays.weight.data, a.pos_weight = arrays.pos_weight.data;
  a.scale = scale;
  a.losses = result.losses.data, a.dx = result.dx.data, a.dtarget = result.dtarget.data;
  a.total = result.total.data;
  steps.add(f->kernel, a);
}

}  // namespace fastnn

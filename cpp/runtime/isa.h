// Which build of the kernels runs: found once at import, overridden by FASTNN_ISA or set_isa.
#pragma once
#include <string>
#include <vector>

#include "contract/kernels.h"

namespace fastnn {

const Kernels& kernels();                   // the table in use
std::string isa();                          // its name: "baseline", "avx2" or "avx512"
std::vector<std::string> available_isas();  // what this machine can run, slowest first
void set_isa(const std::string& name);      // throws std::invalid_argument when not available here

}  // namespace fastnn

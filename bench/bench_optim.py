"""One step of SGD with momentum, and of Adam, over five tensors."""

import numpy as np
import pytest
from kernels import assert_close, cases
from reference import optimizer

from fastnn.tools.rivals.peers.fastnn_peer import build


@pytest.mark.parametrize(("row", "mode"), [*cases("SGD"), *cases("Adam")])
def test_step(benchmark, row, mode):
    call = build(row)[mode]
    ours = [np.array(p.detach(), np.float64) for p in call()]
    benchmark(call)
    for i, p in enumerate(ours):
        w = row.weight(str(i), p.shape).astype(np.float64)
        g = row.rng(f"gradient {i}").standard_normal(p.shape, np.float32).astype(np.float64)
        want = optimizer.adam(w, [g], lr=0.01) if row.kind == "Adam" else optimizer.sgd(w, [g], lr=0.01, momentum=0.9)
        assert_close(p - w, want - w, "the step")

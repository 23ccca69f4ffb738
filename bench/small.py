"""What a call costs on tensors of ten numbers, fastnn beside PyTorch: CPU time of one thread, best of many, recorded.

python bench/small.py [NAME ...]    needs torch
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import fastnn as fnn
from fastnn import ops

CALLS, REPEATS = 2000, 15
VECTOR = np.linspace(0.1, 1, 10, dtype=np.float32)


def best(call: Callable[[], Any]) -> float:
    """Microseconds."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        for _ in range(CALLS):
            call()
        times.append((time.process_time() - start) / CALLS)
    return 1e6 * min(times)


def calls() -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """By name, ours and torch's."""
    a, b = fnn.Tensor(VECTOR.copy(), requires_grad=True) * 1, torch.tensor(VECTOR, requires_grad=True) * 1
    m, n = a.reshape(2, 5) * 1, b.reshape(2, 5) * 1
    return {
        "add": (lambda: a + a, lambda: b + b),
        "cat of 5": (lambda: ops.cat([a] * 5), lambda: torch.cat([b] * 5)),
        "clamp": (lambda: a.clamp(0, 1), lambda: b.clamp(0, 1)),
        "expand": (lambda: a.expand(3, 10), lambda: b.expand(3, 10)),
        "compare": (lambda: a > 0, lambda: b > 0),
        "data": (lambda: a.data, lambda: b.data),
        "index": (lambda: a[3], lambda: b[3]),
        "log_softmax": (lambda: ops.log_softmax(a, 0), lambda: torch.log_softmax(b, 0)),
        "max along": (lambda: m.max(1), lambda: n.max(1)),
        "mean": (lambda: a.mean(), lambda: b.mean()),
        "mul by a number": (lambda: a * 2.0, lambda: b * 2.0),
        "relu": (lambda: ops.relu(a), lambda: torch.relu(b)),
        "reshape": (lambda: a.reshape(2, 5), lambda: b.reshape(2, 5)),
        "softmax": (lambda: ops.softmax(a, 0), lambda: torch.softmax(b, 0)),
        "stack of 5": (lambda: ops.stack([a] * 5), lambda: torch.stack([b] * 5)),
        "sum": (lambda: a.sum(), lambda: b.sum()),
        "sum along": (lambda: m.sum(0), lambda: n.sum(0)),
        "unsqueeze": (lambda: a.unsqueeze(0), lambda: b.unsqueeze(0)),
    }


def main() -> None:
    fnn.set_num_threads(1)
    torch.set_num_threads(1)
    print("| call | fastnn, us | torch, us | torch / fastnn |\n|---|---|---|---|")
    for name, (ours, theirs) in calls().items():
        if len(sys.argv) < 2 or name in sys.argv[1:]:
            x, y = best(ours), best(theirs)
            print(f"| {name} | {x:.2f} | {y:.2f} | {y / x:.2f} |")


if __name__ == "__main__":
    main()

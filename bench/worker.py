"""One process of one library, started by compare.py: bound to its cores, it builds and times the rows it is told.

    python bench/worker.py PEER THREADS

Reads requests, one JSON object per line: {"row": NAME, "answers": FILE} writes what the row computes to a .npz file,
{"row": NAME, "seconds": S} times it. Replies with one line of JSON each: {mode: {"seconds": median of single calls,
"faults": page faults per call}}; with "cpu": true, seconds is the least CPU time of a call. The first line is
{"version": ...}.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

peer_name, threads = sys.argv[1], int(sys.argv[2])
replies = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # what libraries print is no reply
if hasattr(os, "sched_setaffinity"):  # nobody gets more cores than threads
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
os.environ["OMP_NUM_THREADS"] = str(threads)  # before any library starts its threads
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np  # noqa: E402
from shapes import ROWS  # noqa: E402

WARM_UP = 3
built: dict[str, dict[str, Any]] = {}  # of the last row only


def calls_of(peer: Any, name: str) -> dict[str, Any]:
    if name not in built:
        built.clear()
        built[name] = peer.build(ROWS[name])
    return built[name]


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def time_call(call: Any, budget: float, cpu: bool) -> dict[str, float]:
    clock, typical = (time.process_time, min) if cpu else (time.perf_counter, np.median)
    for _ in range(WARM_UP):
        call()
    times: list[float] = []
    before, end = faults(), time.perf_counter() + budget
    while len(times) < 3 or time.perf_counter() < end:
        start = clock()
        call()
        times.append(clock() - start)
    return {"seconds": float(typical(times)), "faults": (faults() - before) / len(times)}


def write_answers(peer: Any, name: str, file: str) -> list[str]:
    """What every mode returns, in torch's shapes; three calls where one changes the next, so that it shows."""
    row, arrays = ROWS[name], {}
    to_arrays = getattr(peer, "to_arrays", lambda value, row: value)
    for mode, call in calls_of(peer, name).items():
        parts: list[Any] = []
        for _ in range(3 if row.stateful else 1):
            value = to_arrays(call(), row)
            parts += [np.array(part) for part in (value if isinstance(value, (list, tuple)) else [value])]
        parts = [part.ravel() for part in parts] if row.streaming else parts  # h alone or as one step of one sequence
        arrays |= {f"{mode} {i}": part for i, part in enumerate(parts)}
    built.clear()  # optimizers have moved on
    np.savez(file, **arrays)
    return list(arrays)


def main() -> None:
    peer = importlib.import_module(f"peers.{peer_name}_peer")
    peer.set_threads(threads)
    print(json.dumps({"version": peer.version()}), file=replies)
    for line in sys.stdin:
        request = json.loads(line)
        if "answers" in request:
            reply: Any = write_answers(peer, request["row"], request["answers"])
        else:
            calls = calls_of(peer, request["row"])
            cpu = request.get("cpu", False)
            reply = {mode: time_call(call, request["seconds"], cpu) for mode, call in calls.items()}
        print(json.dumps(reply), file=replies)


main()

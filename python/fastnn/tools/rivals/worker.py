"""One process of one library: it builds and times the rows it is sent. turns.py starts it, by way of __main__.py.

Reads requests, one JSON object per line: {"row": ROW, "answers": FILE} writes what the row computes to a .npz file,
{"row": ROW, "seconds": S} times it. Replies with one line of JSON each: {mode: {"seconds": median of single calls,
"faults": page faults per call}}; with "cpu": true, seconds is the least CPU time of a call. The first line is
{"version": ...}, or {"missing": ...} with the module that is not installed, which is then the last.
"""

from __future__ import annotations

import importlib
import json
import resource
import time
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import IO, Any

import numpy as np

from .row import Row

WARM_UP = 3

Calls = dict[str, Callable[[], Any]]


class Built:
    """The calls of the last row only."""

    def __init__(self, peer: ModuleType) -> None:
        self.peer, self.name = peer, ""
        self.calls: Calls = {}

    def of(self, row: Row) -> Calls:
        if row.name != self.name:
            self.forget()
            self.name, self.calls = row.name, self.peer.build(row)
        return self.calls

    def forget(self) -> None:
        self.name, self.calls = "", {}


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def time_call(call: Callable[[], Any], budget: float, cpu: bool) -> dict[str, float]:
    clock = time.process_time if cpu else time.perf_counter
    for _ in range(WARM_UP):
        call()
    times: list[float] = []
    before, end = faults(), time.perf_counter() + budget
    while len(times) < 3 or time.perf_counter() < end:
        start = clock()
        call()
        times.append(clock() - start)
    return {"seconds": float(min(times) if cpu else np.median(times)), "faults": (faults() - before) / len(times)}


def write_answers(built: Built, row: Row, file: str) -> list[str]:
    """What every mode returns, in torch's shapes; three calls where one changes the next, so that it shows."""
    arrays: dict[str, Any] = {}
    to_arrays = getattr(built.peer, "to_arrays", lambda value, row: value)
    for mode, call in built.of(row).items():
        parts: list[Any] = []
        for _ in range(3 if row.stateful else 1):
            value = to_arrays(call(), row)
            parts += [np.array(part) for part in (value if isinstance(value, (list, tuple)) else [value])]
        parts = [part.ravel() for part in parts] if row.streaming else parts  # h alone or as one step of one sequence
        arrays |= {f"{mode} {i}": part for i, part in enumerate(parts)}
    built.forget()  # optimizers have moved on
    np.savez(file, **arrays)
    return list(arrays)


def serve(name: str, threads: int, requests: Iterable[str], replies: IO[str]) -> None:
    """Answers requests until there are no more."""
    try:
        peer = importlib.import_module(f".peers.{name}_peer", __package__)
    except ModuleNotFoundError as error:
        print(json.dumps({"missing": error.name or str(error)}), file=replies)
        return
    peer.set_threads(threads)
    print(json.dumps({"version": peer.version()}), file=replies)
    built = Built(peer)
    for line in requests:
        request = json.loads(line)
        row = Row.from_plain(request["row"])
        if "answers" in request:
            reply: Any = write_answers(built, row, request["answers"])
        else:
            cpu = request.get("cpu", False)
            reply = {mode: time_call(call, request["seconds"], cpu) for mode, call in built.of(row).items()}
        print(json.dumps(reply), file=replies)

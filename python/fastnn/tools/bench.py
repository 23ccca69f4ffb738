"""``fastnn bench``: what this machine can do at most, and how much of it a few rows reach; beside the other libraries
that are installed. The full tables come from bench/compare.py, by the same processes of their own that take turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from fastnn import _core
from fastnn.runtime.limits import copy_bandwidth, fma_peak
from fastnn.runtime.threads import get_num_threads
from fastnn.tools.rivals.peers import RIVALS
from fastnn.tools.rivals.row import Row
from fastnn.tools.rivals.rows import ROWS
from fastnn.tools.rivals.turns import Samples, Worker, Wrong, check_answers, close, show, start, take_turns

SHOWN = [
    ROWS["resnet.layer1"],
    ROWS["lenet.conv1"],
    ROWS["maxpool 2x2"],
    ROWS["linear 512-512, batch 256"],
    ROWS["lstm 128-128, T 64, N 32"],
]
_ROUNDS = 5


def _width(peer: str) -> int:
    return max(9, len(peer) + 2)


def _head(rivals: Sequence[str]) -> str:
    heads = "".join(f"{peer:>{_width(peer)}}" for peer in rivals)
    return f"{'microseconds':<27}{'pass':<9}{'fastnn':>9}{'of limit':>14}{heads}"


def _line(row: Row, mode: str, times: Mapping[str, float], rivals: Sequence[str]) -> str:
    """A row and pass: microseconds, and the least time the machine can take in per cent of fastnn's."""
    bound = "FMA" if row.flops(mode) else "copy"
    limit = f"{times['limits'] / times['fastnn']:.0%} of {bound}"
    texts = (f"{1e6 * times[peer]:.0f}" if peer in times else "-" for peer in rivals)
    cells = "".join(f"{text:>{_width(peer)}}" for peer, text in zip(rivals, texts, strict=True))
    return f"{row.name:<27}{mode:<9}{1e6 * times['fastnn']:>9.0f}{limit:>14}{cells}"


def _print_rows(workers: dict[str, Worker], rows: Sequence[Row], seconds: float, wrong: Wrong) -> None:
    rivals = [peer for peer in workers if peer in RIVALS]
    print(_head(rivals), flush=True)
    without = {(name, peer) for name, peer, _ in wrong}
    for row in rows:
        samples: Samples = {}
        for i in range(_ROUNDS):
            show(f"{row.name}, round {i + 1} of {_ROUNDS}")
            take_turns(workers, row, seconds / _ROUNDS, samples, without=without)
        show("")
        for mode in row.modes:
            found = {peer: all_of for (_, m, peer), all_of in samples.items() if m == mode}
            times = {peer: statistics.median(one["seconds"] for one in all_of) for peer, all_of in found.items()}
            print(_line(row, mode, times, rivals), flush=True)


def run_bench(seconds: float = 0.5) -> int:
    """Prints the table of the rows SHOWN; ``seconds`` per measurement.

    Returns 0, or 1 if a library's answers differ from fastnn's; it is named, and not timed there.
    """
    threads = get_num_threads()
    print(f"{_core.isa()}, {threads} threads: {fma_peak() / 1e9:.0f} GFLOP/s FMA peak, ", end="")
    print(f"{copy_bandwidth() / 1e9:.1f} GB/s copy (64 MiB)\n", flush=True)
    wrong: Wrong = []
    workers, versions, missing = start(["fastnn", *RIVALS, "limits"], threads)
    try:
        compared = {peer: worker for peer, worker in workers.items() if peer != "limits"}
        check_answers(compared, SHOWN, wrong)
        _print_rows({**compared, "limits": workers["limits"]}, SHOWN, seconds, wrong)
        workers.update(compared)  # one that died was replaced
    finally:
        close(workers)
    beside = ", ".join(version for peer, version in versions.items() if peer in RIVALS)
    print(f"\nevery library in a process of its own, in turns{f'; answers compared: {beside}' if beside else ''}")
    print("above 100 % of FMA: Winograd's convolutions take a quarter of the multiply-adds")
    for _, _, differs in wrong:
        print(differs)
    if missing:
        print(f"not installed, so not beside: {', '.join(missing)}")
    return 1 if wrong else 0

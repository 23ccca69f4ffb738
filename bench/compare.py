"""fastnn beside its rivals: one command measures everything and prints every table, losing rows included.

    python bench/compare.py [--set cnn] [--peers torch openvino ...] [--threads 1 2] [--rounds 4] [--rows NAME ...]

Every library runs in a process of its own, bound to as many cores as it has threads. Their answers are compared before
anything is timed; then they take turns row by row, in several rounds of fresh processes, and the medians count. The
limits of the machine are measured in between, as if they were a library. Results go to bench/results/ as JSON and
Markdown. --set rim is a sweep over hundreds of shapes (rim.py, sweep.py): one thread, the least CPU time of all rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import sweep
from report import markdown
from shapes import ROWS, SETS
from targets import verdicts

from fastnn.tools.rivals.peers import INSTALL, RIVALS
from fastnn.tools.rivals.row import STEPS, Row
from fastnn.tools.rivals.rows import COPY
from fastnn.tools.rivals.turns import Samples, Worker, Wrong, check_answers, close, show, start, take_turns

HERE = Path(__file__).parent


def start_named(peers: list[str], threads: int, pythons: dict[str, str]) -> tuple[dict[str, Worker], dict[str, str]]:
    """The processes of the peers and their versions; a rival that is not installed is named and left out."""
    workers, versions, missing = start(peers, threads, pythons)
    for peer, module in missing.items():
        if peer not in RIVALS:
            raise SystemExit(f"{peer} cannot start: there is no module {module}")
        show(f"{peer} is left out, there is no module {module}: {INSTALL[peer]}\n")
    return workers, versions


def one_round(
    workers: dict[str, Worker],
    rows: list[Row],
    seconds: float,
    samples: Samples,
    title: str,
    cpu: bool = False,
    without: Collection[tuple[str, str]] = (),
) -> None:
    for i, row in enumerate(rows):
        show(f"{title}, row {i + 1} of {len(rows)}: {row.name}")
        asked = {"limits": workers["limits"]} if row is COPY else workers
        take_turns(asked, row, seconds, samples, cpu, without)


def summary(row: Row, mode: str, threads: int, times: dict[str, float], faults: float) -> dict[str, Any]:
    """One line of the table. Times in microseconds; a limit is the least time the machine can take."""
    ours, limit = times["fastnn"], times.get("limits")
    rivals = {peer: value for peer, value in times.items() if peer in RIVALS}
    found: dict[str, Any] = {"row": row.name, "mode": mode, "threads": threads, "layout": row.layout}
    found["microseconds"] = {"fastnn": ours, **rivals}
    if rivals:
        found["best_rival"] = min(rivals, key=rivals.__getitem__)
        found["ratio"] = rivals[found["best_rival"]] / ours
    if limit:
        found["limit"] = "FMA" if row.flops(mode) else "copy"
        found["of_limit"] = limit / ours
    if row.values(mode) and "copy" in times:
        found["of_memory"] = times["copy"] * row.values(mode) / COPY.values("forward") / ours
    if row.kind in STEPS:
        found["page_faults"] = faults
    return found


def results(samples: Samples, rows: list[Row], threads: int) -> tuple[list[dict], list[dict]]:
    """Medians over the rounds: the rows of the table, and the single passes of convolutions."""
    median = {key: 1e6 * statistics.median(s["seconds"] for s in found) for key, found in samples.items()}
    copy = {"copy": median[COPY.name, "forward", "limits"]}
    lines, passes = [], []
    for row in rows:
        for mode in row.modes:
            times = {peer: value for (name, m, peer), value in median.items() if (name, m) == (row.name, mode)}
            if "fastnn" in times:
                faults = statistics.median(s["faults"] for s in samples[row.name, mode, "fastnn"])
                lines.append(summary(row, mode, threads, {**times, **copy}, faults))
        single = {mode: v for (name, mode, peer), v in median.items() if (name, peer) == (row.name, "fastnn_passes")}
        if single:
            peak = median[row.name, "forward", "limits"]
            passes.append({"row": row.name, "threads": threads, "peak": peak, "microseconds": single})
    return lines, passes


def run_sweep(
    args: argparse.Namespace, rows: list[Row], pythons: dict[str, str], versions: dict[str, str], wrong: Wrong
) -> None:
    """A round asks every library for every row; the least of all rounds counts. Who answers wrongly does not."""
    samples: Samples = {}
    for i in range(args.rounds):
        workers, _ = start_named(list(versions) if i % 2 == 0 else list(versions)[::-1], 1, pythons)
        title, without = f"round {i + 1} of {args.rounds}", {(name, peer) for name, peer, _ in wrong}
        one_round(workers, rows, args.seconds, samples, title, cpu=True, without=without)
        close(workers)
    show("\n")
    least = {key: 1e6 * min(sample["seconds"] for sample in found) for key, found in samples.items()}
    lines, about = sweep.lines(least, rows), {**about_run(args, versions), "wrong": [text for *_, text in wrong]}
    write(args, about, sweep.compact(lines, about), sweep.markdown(lines, about))


def about_run(args: argparse.Namespace, versions: dict[str, str]) -> dict[str, Any]:
    return {"cpu": cpu_name(), "date": date.today().isoformat(), "versions": versions, "rounds": args.rounds}


def write(args: argparse.Namespace, about: dict[str, Any], record: str, table: str) -> None:
    print(table)
    out = args.out or HERE / "results" / f"{args.set}-{re.sub('[^a-z0-9]+', '-', about['cpu'].lower()).strip('-')}"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(record + "\n")
    out.with_suffix(".md").write_text(table)


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", choices=list(SETS), default="cnn", help="which rows (%(default)s)")
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), metavar="NAME", help="only these rows")
    parser.add_argument("--peers", nargs="+", choices=RIVALS, metavar="PEER", help=", ".join(RIVALS))
    parser.add_argument("--python", nargs="+", default=[], metavar="PEER=PATH", help="interpreter of a peer")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N", help="(1 2)")
    parser.add_argument("--rounds", type=int, default=4, help="fresh processes per library and threads (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.05, help="for a row and mode in a round (%(default)s)")
    parser.add_argument("--out", type=Path, help="where to write, without suffix (bench/results/SET-CPU)")
    return parser.parse_args()


def interpreters(given: list[str]) -> dict[str, str]:
    """Peer -> python: from BENCH_PYTHON_TENSORFLOW=PATH and the like, and from --python, which wins."""
    found = {peer: os.environ.get(f"BENCH_PYTHON_{peer.upper()}") for peer in RIVALS}
    return {peer: path for peer, path in found.items() if path} | dict(pair.split("=", 1) for pair in given)


def run_rows(args: argparse.Namespace, rows: list[Row], pythons: dict[str, str], versions: dict[str, str]) -> None:
    peers = [*versions, "fastnn_passes", "limits"]
    lines, passes = [], []
    for n in args.threads:
        samples: Samples = {}
        for i in range(args.rounds):
            workers, _ = start_named(peers if i % 2 == 0 else peers[::-1], n, pythons)
            one_round(workers, [*rows, COPY], args.seconds, samples, f"{n} threads, round {i + 1} of {args.rounds}")
            close(workers)
        more_lines, more_passes = results(samples, rows, n)
        lines, passes = lines + more_lines, passes + more_passes
    show("\n")
    judged, about = verdicts(lines, passes), about_run(args, versions)
    record = {**about, "rows": lines, "passes": passes, "targets": [vars(v) | {"met": v.met} for v in judged]}
    write(args, about, json.dumps(record, indent=1), markdown(lines, passes, judged, about))


def main() -> None:
    args = arguments()
    rows = [ROWS[name] for name in args.rows] if args.rows else SETS[args.set]
    pythons = interpreters(args.python)
    rivals = args.peers or (sweep.PEERS if args.set == "rim" else RIVALS)
    workers, versions = start_named(["fastnn", *rivals], 1, pythons)
    wrong: Wrong | None = [] if args.set == "rim" else None
    rows = check_answers(workers, rows, wrong)
    close(workers)
    if wrong is None:
        run_rows(args, rows, pythons, versions)
    else:
        run_sweep(args, rows, pythons, versions, wrong)


if __name__ == "__main__":
    main()

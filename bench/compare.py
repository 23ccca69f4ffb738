"""fastnn beside its rivals: one command measures everything and prints every table, losing rows included.

    python bench/compare.py [--set cnn] [--peers torch openvino ...] [--threads 1 2] [--rounds 4] [--rows NAME ...]

Every library runs in a process of its own, bound to as many cores as it has threads. Their answers are compared before
anything is timed; then they take turns row by row, in several rounds of fresh processes, and the medians count. The
limits of the machine are measured in between, as if they were a library. Results go to bench/results/ as JSON and
Markdown. --set rim is a sweep over hundreds of shapes (rim.py, sweep.py): one thread, the least CPU time of all rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import sweep
from peers import INSTALL, RIVALS
from report import markdown
from shapes import COPY, ROWS, SETS, STEPS, Row
from targets import verdicts

HERE = Path(__file__).parent
TOLERANCE = 1e-4  # relative L2
PAUSE = 0.05  # seconds; threads of the library before spin for a while after their work


class Worker:
    """A process of one library; see worker.py for what it is asked."""

    def __init__(self, peer: str, threads: int, python: str) -> None:
        self.started = threads, python
        self.peer, self.log = peer, tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in close)
        command = [python, str(HERE / "worker.py"), peer, str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1
        )

    def reply(self, about: str) -> Any:
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"{self.peer} failed at {about}:\n{self.log.read()[-2000:]}")
        return json.loads(line)

    def ask(self, **request: Any) -> Any:
        self.process.stdin.write(json.dumps(request) + "\n")
        return self.reply(request["row"])

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()


def show(text: str) -> None:
    """Progress, in one line of the terminal."""
    print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)


def start(peers: list[str], threads: int, pythons: dict[str, str]) -> tuple[dict[str, Worker], dict[str, str]]:
    """The processes of the peers and their versions; a peer that is not installed is named and left out."""
    workers = {peer: Worker(peer, threads, pythons.get(peer, sys.executable)) for peer in peers}
    versions = {}
    for peer in peers:
        try:
            versions[peer] = workers[peer].reply("its start")["version"]
        except RuntimeError as error:
            if "ModuleNotFoundError" not in str(error):
                raise
            workers.pop(peer).close()
            show(f"{peer} is left out, it is not installed: {INSTALL[peer]}\n")
    return workers, versions


def close(workers: dict[str, Worker]) -> None:
    for worker in workers.values():
        worker.close()


def difference(name: str, peer: str, ours: Any, theirs: Any) -> str:
    """The first answer in which the two are further apart than rounding explains; "" where there is none."""
    for key in ours.files:
        if key in theirs.files:
            a, b = ours[key].astype(np.float64), theirs[key].astype(np.float64)
            if a.shape != b.shape:
                return f"{name}, {key}: fastnn has shape {a.shape}, {peer} {b.shape}"
            error = np.linalg.norm(a - b) / (np.linalg.norm(b) or 1)
            if not error < TOLERANCE:
                return f"{name}, {key}: fastnn and {peer} differ by {error:.1e}"
    return ""


def ask_for_answers(workers: dict[str, Worker], peer: str, row: Row, file: str, wrong: list[Any] | None) -> list[str]:
    """The arrays of the answer. A rival that dies over it is noted in ``wrong``, where that is a list, and replaced."""
    try:
        return workers[peer].ask(row=row.name, answers=file)
    except RuntimeError:
        if wrong is None or peer == "fastnn":
            raise
        old = workers[peer]
        old.close()
        workers[peer] = Worker(peer, *old.started)
        workers[peer].reply("its start")
        wrong.append((row.name, peer, f"{row.name}: {peer} ends with signal or status {old.process.returncode}"))
        return []


def check_answers(workers: dict[str, Worker], rows: list[Row], wrong: list[tuple[str, str, str]] | None) -> list[Row]:
    """The rows fastnn has, after every output, gradient and updated parameter of every peer was found to agree.

    Stops at the first that does not, or notes (row, peer, what differs) in ``wrong`` where there is such a list.
    """
    kept, compared = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for row in rows:
            show(f"answers of {row.name}")
            files = {peer: f"{folder}/{peer}.npz" for peer in workers}
            found = {peer: ask_for_answers(workers, peer, row, files[peer], wrong) for peer in list(workers)}
            if not found["fastnn"]:
                show(f"{row.name} is left out: this fastnn has no such thing\n")
                continue
            ours = np.load(files["fastnn"])
            for peer in found:
                if not found[peer]:
                    continue
                if differs := difference(row.name, peer, ours, np.load(files[peer])):
                    if wrong is None:
                        raise SystemExit(differs)
                    wrong.append((row.name, peer, differs))
                compared += len(found[peer]) if peer != "fastnn" else 0
            kept.append(row)
    show(f"answers agree: {len(kept)} rows, {compared} arrays of rivals\n")
    return kept


Samples = dict[tuple[str, str, str], list[dict[str, float]]]


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
        for peer, worker in workers.items():
            if (row is COPY and peer != "limits") or (row.name, peer) in without:
                continue
            time.sleep(PAUSE)
            for mode, sample in worker.ask(row=row.name, seconds=seconds, cpu=cpu).items():
                samples.setdefault((row.name, mode, peer), []).append(sample)


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
    args: argparse.Namespace, rows: list[Row], pythons: dict[str, str], versions: dict[str, str], wrong: list[Any]
) -> None:
    """A round asks every library for every row; the least of all rounds counts. Who answers wrongly does not."""
    samples: Samples = {}
    for i in range(args.rounds):
        workers, _ = start(list(versions) if i % 2 == 0 else list(versions)[::-1], 1, pythons)
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
            workers, _ = start(peers if i % 2 == 0 else peers[::-1], n, pythons)
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
    workers, versions = start(["fastnn", *rivals], 1, pythons)
    wrong: list[tuple[str, str, str]] | None = [] if args.set == "rim" else None
    rows = check_answers(workers, rows, wrong)
    close(workers)
    if wrong is None:
        run_rows(args, rows, pythons, versions)
    else:
        run_sweep(args, rows, pythons, versions, wrong)


if __name__ == "__main__":
    main()

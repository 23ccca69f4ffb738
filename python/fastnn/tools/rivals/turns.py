"""Starts a process for every library, sees that their answers agree, and lets them take turns."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .row import Row

ROOM = Path(__file__).parent
TOLERANCE = 1e-4  # relative L2
PAUSE = 0.05  # seconds; threads of the library before spin for a while after their work

Samples = dict[tuple[str, str, str], list[dict[str, float]]]  # row, mode, peer
Wrong = list[tuple[str, str, str]]  # row, peer, what differs


class Worker:
    """A process of one library; see worker.py for what it is asked."""

    def __init__(self, peer: str, threads: int, python: str = sys.executable) -> None:
        self.started = threads, python
        self.peer, self.log = peer, tempfile.TemporaryFile("w+")  # noqa: SIM115  (closed in close)
        command = [python, str(ROOM), peer, str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.requests, self.replies = self.process.stdin, self.process.stdout

    def reply(self, about: str) -> Any:
        line = self.replies.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"{self.peer} failed at {about}:\n{self.log.read()[-2000:]}")
        return json.loads(line)

    def ask(self, row: Row, **request: Any) -> Any:
        with contextlib.suppress(BrokenPipeError):  # then there is no reply
            self.requests.write(json.dumps({"row": row.to_plain(), **request}) + "\n")
        return self.reply(row.name)

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()
        self.process.wait()
        self.replies.close()
        self.log.close()


def show(text: str) -> None:
    """Progress, in one line of the terminal."""
    print(f"\r{text:<78}", end="\r", file=sys.stderr, flush=True)


def start(
    peers: Iterable[str], threads: int, pythons: Mapping[str, str] | None = None
) -> tuple[dict[str, Worker], dict[str, str], dict[str, str]]:
    """The processes of the peers, their versions, and of peers that are not installed the module that is missing."""
    pythons = pythons or {}
    workers = {peer: Worker(peer, threads, pythons.get(peer, sys.executable)) for peer in peers}
    versions: dict[str, str] = {}
    missing: dict[str, str] = {}
    for peer in list(workers):
        said = workers[peer].reply("its start")
        if "version" in said:
            versions[peer] = said["version"]
        else:
            missing[peer] = said["missing"]
            workers.pop(peer).close()
    return workers, versions, missing


def close(workers: Mapping[str, Worker]) -> None:
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


def ask_for_answers(workers: dict[str, Worker], peer: str, row: Row, file: str, wrong: Wrong | None) -> list[str]:
    """The arrays of the answer. A rival that dies over it is noted in ``wrong``, where that is a list, and replaced."""
    try:
        found: list[str] = workers[peer].ask(row, answers=file)
        return found
    except RuntimeError:
        if wrong is None or peer == "fastnn":
            raise
        old = workers[peer]
        old.close()
        workers[peer] = Worker(peer, *old.started)
        workers[peer].reply("its start")
        wrong.append((row.name, peer, f"{row.name}: {peer} ends with signal or status {old.process.returncode}"))
        return []


def check_answers(workers: dict[str, Worker], rows: Iterable[Row], wrong: Wrong | None) -> list[Row]:
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
            with np.load(files["fastnn"]) as ours:
                for peer in found:
                    if not found[peer]:
                        continue
                    with np.load(files[peer]) as theirs:
                        differs = difference(row.name, peer, ours, theirs)
                    if differs and wrong is None:
                        raise SystemExit(differs)
                    if differs and wrong is not None:
                        wrong.append((row.name, peer, differs))
                    compared += len(found[peer]) if peer != "fastnn" else 0
            kept.append(row)
    show(f"answers agree: {len(kept)} rows, {compared} arrays of rivals\n")
    return kept


def take_turns(
    workers: Mapping[str, Worker],
    row: Row,
    seconds: float,
    samples: Samples,
    cpu: bool = False,
    without: Collection[tuple[str, str]] = (),
) -> None:
    """One after the other times the row; ``without``: (row, peer) that do not."""
    for peer, worker in workers.items():
        if (row.name, peer) in without:
            continue
        time.sleep(PAUSE)
        for mode, sample in worker.ask(row, seconds=seconds, cpu=cpu).items():
            samples.setdefault((row.name, mode, peer), []).append(sample)

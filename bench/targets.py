"""What fastnn sets out to reach, in numbers, and whether a run reached it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from shapes import ROWS

from fastnn.tools.rivals.row import POOLINGS

ROW = 1.0  # every row at least as fast as the best rival
MEAN = {"forward": 1.4, "train": 2.2}  # geometric mean over the convolution and pooling rows, of best rival / fastnn
STEP = {"lenet": 3.0, "resnet": 2.0, "keyword": 2.0}  # times as fast as the best framework
SCALING = 1.8  # from one thread to two, for what takes a millisecond
DIRECT = {"y": 0.88, "dx": 0.82, "dw": 0.78}  # of the FMA peak: direct 3x3, 64 channels and more
WINOGRAD = 1.6  # times as fast as direct, 64 to 256 channels, stride 1
PRODUCT = 0.85  # of the FMA peak: 1x1 convolutions and large Linear layers
MEMORY = 0.7  # of the copy bandwidth out of cache: pooling, batch norm, elementwise
LARGE_LINEAR = 256  # rows; and at least 512 inputs

RECURRENT_MEAN = 2.0  # geometric mean over the training rows and steps without ragged ones, of best rival / fastnn
GATED = {"GRU": 3.0, "RNN": 3.0}  # training times as fast as the best rival
RAGGED = 3.0  # times as fast as torch's PackedSequence
RECURRENT_PRODUCT = 0.9  # of the FMA peak: forward of an LSTM with at least FULL sequences
FULL = 32
STREAMING = 4.0  # times as fast as the best rival: one time step of an LSTM of 128, with the call from Python
STEP_OF_64, MICROSECONDS = "lstm 64-64, streaming", 3.0  # the most that one time step may take

Lines = list[dict]


@dataclass(frozen=True)
class Verdict:
    target: str
    subject: str
    value: float
    least: float

    @property
    def met(self) -> bool:
        return self.value >= self.least


def subject(line: dict) -> str:
    mode = f", {line['mode']}" if "mode" in line else ""
    return f"{line['row']}{mode}, {line['threads']} thread{'s' if line['threads'] > 1 else ''}"


def geometric_mean(
    rated: Lines, mode: str, threads: int, groups: tuple[str, ...], least: float, of: str = ""
) -> Iterator[Verdict]:
    ratios = [
        line["ratio"]
        for line in rated
        if (line["mode"], line["threads"]) == (mode, threads) and ROWS[line["row"]].group in groups
    ]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        name = {"row": f"{len(ratios)} rows", "mode": mode, "threads": threads}
        yield Verdict(f"geometric mean, {of}{mode}", subject(name), mean, least)


def against_rivals(lines: Lines) -> Iterator[Verdict]:
    rated = [line for line in lines if "ratio" in line]
    for line in rated:
        yield Verdict("row / best rival", subject(line), line["ratio"], ROW)
    for mode, least in MEAN.items():
        for threads in sorted({line["threads"] for line in rated}):
            yield from geometric_mean(rated, mode, threads, ("layers",), least)
    for line in rated:
        if (kind := ROWS[line["row"]].kind) in STEP:
            yield Verdict(f"training step, {kind}", subject(line), line["ratio"], STEP[kind])


def scaling(lines: Lines) -> Iterator[Verdict]:
    single = {(line["row"], line["mode"]): line["microseconds"]["fastnn"] for line in lines if line["threads"] == 1}
    for line in lines:
        alone = single.get((line["row"], line["mode"]), 0)
        if line["threads"] == 2 and alone > 1000:
            yield Verdict("two threads / one", subject(line), alone / line["microseconds"]["fastnn"], SCALING)


def algorithms(passes: Lines) -> Iterator[Verdict]:
    for line in passes:
        row, times = ROWS[line["row"]], line["microseconds"]
        for name, least in DIRECT.items():
            yield Verdict(f"direct 3x3 {name} / peak", subject(line), line["peak"] / times[f"direct {name}"], least)
        if row.x[1] <= 256 and row.options.get("stride", 1) == 1:
            for name in DIRECT:
                faster = times[f"direct {name}"] / times[f"auto {name}"]
                yield Verdict(f"Winograd {name} / direct", subject(line), faster, WINOGRAD)


def limits(lines: Lines) -> Iterator[Verdict]:
    for line in lines:
        row = ROWS[line["row"]]
        options = row.options
        pointwise = row.kind == "Conv2d" and options["kernel_size"] == 1
        large = row.kind == "Linear" and row.x[0] >= LARGE_LINEAR and row.x[1] >= 512
        if (pointwise or large) and "of_limit" in line:
            yield Verdict("1x1 and large Linear / peak", subject(line), line["of_limit"], PRODUCT)
        if row.kind in (*POOLINGS, "BatchNorm2d", "ReLU") and "of_memory" in line:
            yield Verdict("memory rows / copy out of cache", subject(line), line["of_memory"], MEMORY)


def recurrent(lines: Lines) -> Iterator[Verdict]:
    rated = [line for line in lines if "ratio" in line]
    for threads in sorted({line["threads"] for line in rated}):
        yield from geometric_mean(rated, "train", threads, ("rnn", "rnn steps"), RECURRENT_MEAN, "recurrent ")
    for line in lines:
        row, times = ROWS[line["row"]], line["microseconds"]
        training, rival = row.group == "rnn" and line["mode"] == "train", line.get("ratio")
        if row.group == "ragged" and "torch" in times:
            yield Verdict("ragged / PackedSequence", subject(line), times["torch"] / times["fastnn"], RAGGED)
        if training and row.kind in GATED and rival:
            yield Verdict(f"{row.kind} training / best rival", subject(line), rival, GATED[row.kind])
        full = row.group == "rnn" and row.kind == "LSTM" and row.x[1] >= FULL
        if full and line["mode"] == "forward" and "of_limit" in line:
            yield Verdict("LSTM forward / peak", subject(line), line["of_limit"], RECURRENT_PRODUCT)
        if row.streaming and row.options["hidden_size"] == 128 and rival:
            yield Verdict("LSTM time step of 128 / best rival", subject(line), rival, STREAMING)
        if row.name == STEP_OF_64:
            most = f"{MICROSECONDS:.0f} microseconds / LSTM time step of 64"
            yield Verdict(most, subject(line), MICROSECONDS / times["fastnn"], 1)


def verdicts(lines: Lines, passes: Lines) -> list[Verdict]:
    found = [*against_rivals(lines), *scaling(lines), *algorithms(passes), *limits(lines), *recurrent(lines)]
    return sorted(found, key=lambda verdict: verdict.target)

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import nn
from fastnn.tools import bench, cli
from fastnn.tools.rivals import rows, turns
from fastnn.tools.rivals.peers import RIVALS
from fastnn.tools.rivals.row import CONVOLUTIONS, POOLINGS, RECURRENT, SHORTEST, Row

ROOM = Path(__file__).parent.parent / "bench"
LIBRARIES = ("jax", "keras", "ncnn", "onnx", "onnxruntime", "openvino", "tensorflow", "torch")

SMALL = [
    rows.conv("small conv", 1, 2, 6, 3, 3, "", padding=1),
    rows.pool("small pool", "MaxPool2d", 1, 2, 6, "", kernel_size=2),
    rows.linear(3, 4, 5, ""),
    rows.recurrent("LSTM", 2, 1, 3, 4, ""),
]


def print_small():
    """``fastnn bench`` of SMALL, in a process of its own."""
    bench.SHOWN = SMALL
    sys.exit(cli.main(["bench", "--seconds", "0.001", "--threads", "1"]))


def environment(*folders):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, folders), str(Path(__file__).parent), *sys.path])}


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with_peers"])
def test_bench_prints_a_row_per_layer_and_pass(alone, tmp_path):
    for name in LIBRARIES if alone else ():
        (tmp_path / f"{name}.py").write_text("raise ModuleNotFoundError")
    code = "import test_bench; test_bench.print_small()"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment(tmp_path)
    )
    assert run.returncode == 0, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    assert "1 threads" in lines[0]
    beside = lines[2].split()[5:]  # the columns: what is installed
    left_out = lines[-1].removeprefix("not installed, so not beside: ").split(", ")
    assert set(beside) | set(left_out) >= set(RIVALS)
    assert not alone or left_out == RIVALS
    want = [(row.name, mode) for row in SMALL for mode in row.modes]
    for line, (name, mode) in zip(lines[3:], want, strict=False):
        assert line.startswith(name)
        found = line.removeprefix(name).split()
        assert found[0] == mode
        assert len(found) == 5 + len(beside)
        assert found[3:5] == (["of", "FMA"] if "pool" not in name else ["of", "copy"])
        assert all(cell == "-" or float(cell) >= 0 for cell in (found[1], *found[5:]))
    assert lines[3 + len(want)] == ""


def test_the_rows_know_their_work():
    """Against the layers themselves: an output is a product of its weights, one of a pooling is read and written."""
    layers = [row for row in rows.ROWS.values() if row.kind in (*CONVOLUTIONS, *POOLINGS, "Linear")]
    assert {row.kind for row in layers} == {*CONVOLUTIONS, *POOLINGS, "Linear"}
    for row in layers:
        layer, x = getattr(nn, row.kind)(**row.options).eval(), np.zeros(row.x, np.float32)
        y = layer.predict(x)
        if row.kind != "Linear":
            assert row.output == y.shape
        if row.kind in POOLINGS:
            assert [row.values(mode) for mode in row.modes] == [x.size + y.size, 2 * (x.size + y.size)]
            continue
        one = layer.weight[0].size  # weights of an output; of an input where the convolution is transposed
        flops = 2 * one * (x.size if row.kind == "ConvTranspose2d" else y.size)
        assert [row.flops(mode) for mode in row.modes] == [flops, 3 * flops]


@pytest.fixture
def shapes(monkeypatch):
    monkeypatch.syspath_prepend(ROOM)
    return importlib.import_module("shapes")


@pytest.fixture
def targets(shapes):
    return importlib.import_module("targets")


def test_a_row_goes_through_json(shapes):
    for row in shapes.ROWS.values():
        sent = Row.from_plain(json.loads(json.dumps(row.to_plain())))
        assert sent == row
        assert hash(sent.x) == hash(row.x)
    assert len(shapes.ROWS) == 1 + sum(map(len, shapes.SETS.values()))  # the copy; no name twice


class Answers:
    """Stands in for the process of a library that computes y."""

    def __init__(self, y):
        self.y = y

    def ask(self, row, answers):
        np.savez(answers, **({} if self.y is None else {"forward 0": self.y}))
        return [] if self.y is None else ["forward 0"]


RIGHT = np.linspace(1, 2, 7)
WRONG = {
    "not a number": (np.full(7, np.nan), "differ by nan"),
    "one value": (RIGHT + 1e-3 * (np.arange(7) == 3), "differ by 2.5e-04"),
    "shape": (RIGHT[:, None], "has shape (7,), torch (7, 1)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_found(name):
    y, said = WRONG[name]
    workers, row = {"fastnn": Answers(RIGHT), "jax": Answers(RIGHT + 1e-6), "torch": Answers(y)}, SMALL[0]
    wrong = []
    assert turns.check_answers(workers, [row], wrong) == [row]
    assert [found[:2] for found in wrong] == [(row.name, "torch")]
    assert said in wrong[0][2]
    with pytest.raises(SystemExit, match="small conv, forward 0: fastnn"):
        turns.check_answers(workers, [row], None)
    assert turns.check_answers({**workers, "torch": Answers(None)}, [row], None) == [row]  # it has no such layer
    assert turns.check_answers({"fastnn": Answers(None)}, [row], None) == []


STUB = """
import os, sys
def __getattr__(name):
    if name != "__version__":
        raise AttributeError(name)
    return ",".join(sorted({name.split(".")[0] for name in sys.modules} & {"bench", "fastnn", "peers"})) or "alone"
class Net:
    def __init__(self):
        os._exit(3)
"""


def test_a_rival_lives_and_dies_alone(tmp_path, monkeypatch):
    """Its process loads no fastnn; when it dies over a row the others go on, and so does it."""
    (tmp_path / "ncnn.py").write_text(STUB)
    (tmp_path / "jax.py").write_text("import a_module_that_is_missing")
    monkeypatch.setenv("PYTHONPATH", environment(tmp_path)["PYTHONPATH"])
    workers, versions, missing = turns.start(["fastnn", "ncnn", "jax"], 1)
    try:
        assert versions["ncnn"] == "ncnn alone"
        assert missing == {"jax": "a_module_that_is_missing"}
        wrong, samples = [], {}
        assert turns.check_answers(workers, SMALL[:2], wrong) == SMALL[:2]
        assert wrong == [("small conv", "ncnn", "small conv: ncnn ends with signal or status 3")]
        turns.take_turns(workers, SMALL[0], 0.001, samples, without={("small conv", "ncnn")})
        assert list(samples) == [("small conv", "forward", "fastnn"), ("small conv", "train", "fastnn")]
        with pytest.raises(RuntimeError, match="ncnn failed at small conv"):
            workers["ncnn"].ask(SMALL[0], seconds=0.001)
    finally:
        turns.close(workers)


def test_recurrent_rows_have_the_parameters_and_the_work_that_they_say():
    found = [row for row in rows.RNN_ROWS if row.kind in RECURRENT]
    assert {row.group for row in found} == {"rnn", "ragged", "streaming"}
    for row in found:
        weights = row.weights()
        parameters = dict(getattr(nn, row.kind)(**row.options).named_parameters())
        assert [(name, w.shape) for name, w in weights.items()] == [(name, p.shape) for name, p in parameters.items()]
        steps = row.x[0] * row.x[1] if row.lengths is None else sum(row.lengths)
        forward = 2 * steps * sum(w.size for w in weights.values() if w.ndim == 2)  # every weight once in every step
        assert {mode: row.flops(mode) for mode in row.modes} == dict(
            zip(row.modes, (forward, 3 * forward), strict=False)
        )
        assert row.modes == (("forward",) if row.group == "streaming" else ("forward", "train"))


def test_ragged_rows_have_the_same_lengths_every_time():
    for row in (row for row in rows.RNN_ROWS if row.group == "ragged"):
        again = rows.recurrent(row.kind, *row.x, row.options["hidden_size"], "", "ragged")
        assert list(again.lengths) == list(row.lengths)
        assert len(row.lengths) == row.x[1]
        assert SHORTEST <= min(row.lengths) < max(row.lengths) == row.x[0]


VERDICTS = {
    "step in time": (
        "lstm 64-64, streaming",
        "forward",
        {"fastnn": 3, "jax": 3},
        "3 microseconds / LSTM time step of 64",
    ),
    "step late": (
        "lstm 64-64, streaming",
        "forward",
        {"fastnn": 3.1, "jax": 9},
        "!3 microseconds / LSTM time step of 64",
    ),
    "step fast": ("lstm 128-128, streaming", "forward", {"fastnn": 1, "jax": 4}, "LSTM time step of 128 / best rival"),
    "step slow": (
        "lstm 128-128, streaming",
        "forward",
        {"fastnn": 1, "jax": 3.9},
        "!LSTM time step of 128 / best rival",
    ),
    "gru": ("gru 128-256, T 64, N 32", "train", {"fastnn": 1, "jax": 9, "torch": 3}, "GRU training / best rival"),
    "gru slow": (
        "gru 128-256, T 64, N 32",
        "train",
        {"fastnn": 1, "jax": 2.9, "torch": 9},
        "!GRU training / best rival",
    ),
    "rnn slow": ("rnn 64-128, T 64, N 32", "train", {"fastnn": 1, "torch": 2.9}, "!RNN training / best rival"),
    "ragged": (
        "lstm 128-128, ragged, N 32",
        "forward",
        {"fastnn": 1, "openvino": 1, "torch": 3},
        "ragged / PackedSequence",
    ),
    "ragged slow": ("gru 128-128, ragged, N 32", "train", {"fastnn": 1, "torch": 2.9}, "!ragged / PackedSequence"),
    "peak": ("lstm 64-512, T 64, N 64", "forward", {"fastnn": 1, "limits": 0.9}, "LSTM forward / peak"),
    "no peak": ("lstm 128-128, T 64, N 32", "forward", {"fastnn": 1, "limits": 0.89}, "!LSTM forward / peak"),
    "row": ("lstm 32-32, T 15, N 1", "forward", {"fastnn": 1, "jax": 2, "torch": 1}, "row / best rival"),
    "row slow": ("lstm 32-32, T 15, N 1", "forward", {"fastnn": 1, "jax": 2, "torch": 0.9}, "!row / best rival"),
    "step of training": ("CRNN step, batch 16", "train", {"fastnn": 1, "torch": 2}, "geometric mean, recurrent train"),
    "training": ("lstm 32-32, T 15, N 1", "train", {"fastnn": 1, "torch": 1.9}, "!geometric mean, recurrent train"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_recurrent_rows_are_judged(shapes, targets, name):
    """One invented line at or below what the target asks; "!" where it is missed."""
    row, mode, times, target = VERDICTS[name]
    line = importlib.import_module("compare").summary(shapes.ROWS[row], mode, 1, times, 0)
    judged = {verdict.target: verdict.met for verdict in targets.verdicts([line], [])}
    assert judged[target.removeprefix("!")] == (not target.startswith("!"))


@pytest.mark.slow
def test_compare_prints_recurrent_rows_without_rivals(tmp_path):
    for rival in ("onnxruntime", "torch"):
        (tmp_path / f"{rival}.py").write_text("raise ModuleNotFoundError")
    names = ["lstm 32-32, T 15, N 1", "lstm 64-64, streaming"]
    command = [
        sys.executable,
        ROOM / "compare.py",
        "--rows",
        *names,
        "--peers",
        "torch",
        "onnxruntime",
        "--threads",
        "1",
    ]
    run = subprocess.run(
        [*command, "--rounds", "1", "--seconds", "0.001", "--out", tmp_path / "found"],
        capture_output=True, text=True, check=False, env=environment(tmp_path),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "torch is left out" in run.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert [(line["row"], line["mode"]) for line in found["rows"]][:2] == [(names[0], "forward"), (names[0], "train")]
    assert all(line["microseconds"]["fastnn"] > 0 and line["limit"] == "FMA" for line in found["rows"])
    assert names[0] in run.stdout
    assert ("left out: this fastnn" in run.stderr) != hasattr(nn.LSTM, "stream")

import importlib
import json
import subprocess
import sys

import pytest
from test_rivals import RIGHT, ROOM, SMALL, Answers, environment

from fastnn import nn
from fastnn.tools import bench, cli
from fastnn.tools.rivals import turns
from fastnn.tools.rivals.peers import RIVALS

LIBRARIES = ("jax", "keras", "ncnn", "onnx", "onnxruntime", "openvino", "tensorflow", "torch")


def print_small():
    """``fastnn bench`` of SMALL, in a process of its own."""
    bench.SHOWN = SMALL
    sys.exit(cli.main(["bench", "--seconds", "0.001", "--threads", "1"]))


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
    _, told, names = lines[-1].partition("not installed, so not beside: ")
    left_out = names.split(", ") if told else []
    assert sorted(beside + left_out) == RIVALS
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


@pytest.fixture
def shapes(monkeypatch):
    monkeypatch.syspath_prepend(ROOM)
    return importlib.import_module("shapes")


@pytest.fixture
def targets(shapes):
    return importlib.import_module("targets")


def test_who_answers_wrongly_is_named_and_not_timed(monkeypatch, capsys):
    workers = {
        "fastnn": Answers(RIGHT, 100, 400),
        "onnxruntime": Answers(RIGHT, 150),
        "torch": Answers(2 * RIGHT, 1, 1),
        "limits": Answers(None, 25, 200),
    }
    versions, missing = {"onnxruntime": "onnxruntime 1", "torch": "torch 2"}, {"jax": "jax"}
    monkeypatch.setattr(bench, "start", lambda peers, threads: (dict(workers), versions, missing))
    monkeypatch.setattr(bench, "SHOWN", SMALL[:2])
    monkeypatch.setattr(bench, "fma_peak", lambda: 3e9)
    monkeypatch.setattr(bench, "copy_bandwidth", lambda: 5e9)
    monkeypatch.setattr(turns, "PAUSE", 0)
    assert bench.run_bench(0) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("3 GFLOP/s FMA peak, 5.0 GB/s copy (64 MiB)")
    assert lines[2].split()[5:] == ["onnxruntime", "torch"]
    assert [line.split() for line in lines[3:7]] == [
        ["small", "conv", "forward", "100", "25%", "of", "FMA", "150", "-"],
        ["small", "conv", "train", "400", "50%", "of", "FMA", "-", "-"],
        ["small", "pool", "forward", "100", "25%", "of", "copy", "150", "-"],
        ["small", "pool", "train", "400", "50%", "of", "copy", "-", "-"],
    ]
    assert "answers compared: onnxruntime 1, torch 2" in lines[8]
    assert lines[10:] == [
        "small conv, forward 0: fastnn and torch differ by 5.0e-01",
        "small pool, forward 0: fastnn and torch differ by 5.0e-01",
        "not installed, so not beside: jax",
    ]


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

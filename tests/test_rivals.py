"""The harness that `fastnn bench` and bench/compare.py measure with: its rows, its processes, their answers."""

import importlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import nn
from fastnn.tools.rivals import rows, turns
from fastnn.tools.rivals.peers import fastnn_passes_peer
from fastnn.tools.rivals.row import CONVOLUTIONS, POOLINGS, RECURRENT, SHORTEST, Row

ROOM = Path(__file__).parent.parent / "bench"

SMALL = [
    rows.conv("small conv", 1, 2, 6, 3, 3, "", padding=1),
    rows.pool("small pool", "MaxPool2d", 1, 2, 6, "", kernel_size=2),
    rows.linear(3, 4, 5, ""),
    rows.recurrent("LSTM", 2, 1, 3, 4, ""),
]


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


@pytest.fixture
def shapes(monkeypatch):
    monkeypatch.syspath_prepend(ROOM)
    return importlib.import_module("shapes")


def test_a_row_goes_through_json(shapes):
    for row in shapes.ROWS.values():
        sent = Row.from_plain(json.loads(json.dumps(row.to_plain())))
        assert sent == row
        assert hash(sent.x) == hash(row.x)
    assert len(shapes.ROWS) == 1 + sum(map(len, shapes.SETS.values()))  # the copy; no name twice


class Answers:
    """Stands in for the process of a library that computes y in so many microseconds, forward and in training."""

    def __init__(self, y, *times):
        self.y, self.times = y, times

    def ask(self, row, answers=None, **how):
        if answers is None:
            times = zip(row.modes, self.times, strict=False)
            return {mode: {"seconds": 1e-6 * us, "faults": 0} for mode, us in times}
        np.savez(answers, **({} if self.y is None else {"forward 0": self.y}))
        return [] if self.y is None else ["forward 0"]

    def close(self):
        pass


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


def environment(*folders):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, folders), str(Path(__file__).parent), *sys.path])}


STUB = """
import importlib.util, os, sys
def __getattr__(name):
    if name != "__version__":
        raise AttributeError(name)
    loaded = {name.split(".")[0] for name in sys.modules} & {"fastnn"}
    found = {name for name in ("peers", "row", "worker") if importlib.util.find_spec(name)}
    return ",".join(sorted(loaded | found)) or "alone"
class Net:
    def __init__(self):
        os._exit(3)
"""


def test_a_rival_lives_and_dies_alone(tmp_path, monkeypatch):
    """Its process loads no fastnn and finds none of the harness by a bare name. It may die over a row: others go on."""
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


def test_the_passes_of_convolutions_are_by_the_algorithm_that_they_name():
    row = next(row for row in rows.LAYER_ROWS if fastnn_passes_peer.build(row))
    calls = fastnn_passes_peer.build(row)
    for name in ("y", "dx", "dw"):
        direct, auto = calls[f"direct {name}"](), calls[f"auto {name}"]()
        assert not np.array_equal(direct, auto)
        np.testing.assert_allclose(auto, direct, atol=1e-5 * abs(direct).max())

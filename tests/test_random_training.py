"""Random small models, shapes and batch sizes against plain loops over samples."""

import numpy as np
import pytest
from toys import one_thread  # noqa: F401

import fastnn as fnn
from fastnn import nn

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies
settings = hypothesis.settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


class Tagger(nn.Module):
    """A recurrent layer, or several, and class scores for every step; lists stay lists."""

    def __init__(self, layer, batch_first, layers):
        self.layer = layer(3, 5, num_layers=layers, batch_first=batch_first)
        self.head = nn.Linear(5, 4)
        self.batch_axis = self.layer.batch_axis

    def forward(self, x):
        y = self.layer(x)[0]
        return [self.head(part) for part in y] if isinstance(y, list) else self.head(y)


@st.composite
def tasks(draw):
    """(model, x, target, axis of samples, class_axis, a loss, class weights)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, t = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    kind = draw(st.sampled_from(["vectors", "linear steps", "conv", "time first", "batch first", "ragged"]))
    layer = draw(st.sampled_from([nn.RNN, nn.LSTM, nn.GRU]))
    fnn.manual_seed(n)
    axis, class_axis = 0, -1
    if kind == "vectors":
        model, x, shape = nn.Linear(3, 4), rng.standard_normal((n, 3)), (n,)
    elif kind == "linear steps":
        model, x, shape = (
            nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 4)),
            rng.standard_normal((n, t, 3)),
            (n, t),
        )
    elif kind == "conv":
        model, x, shape = nn.Conv1d(3, 4, 3, padding=1), rng.standard_normal((n, 3, t)), (n, t)
        class_axis = 1
    elif kind == "time first":
        model, x, shape, axis = Tagger(layer, False, draw(st.integers(1, 2))), rng.standard_normal((t, n, 3)), (t, n), 1
    else:
        model, x, shape = Tagger(layer, True, draw(st.integers(1, 2))), rng.standard_normal((n, t, 3)), (n, t)
    target = rng.integers(0, 4, shape)
    target[rng.random(shape) < draw(st.sampled_from([0, 0.3, 0.8]))] = -100
    if kind == "ragged":
        lengths = rng.integers(1, t + 1, n)
        x, target = ([part[:k] for part, k in zip(a, lengths, strict=True)] for a in (x, target))
    weight = draw(st.sampled_from([None, (0.5, 2.0, 1.0, 3.0)]))
    return model, x, target, axis, class_axis, weight


def one_by_one(model, x, target, axis, class_axis):
    """Scores (K, 4) and targets (K) of all samples, each run alone, in eval mode."""
    model.eval()
    scores, labels = [], []
    for i in range(len(x) if isinstance(x, list) else x.shape[axis]):
        one = [x[i]] if isinstance(x, list) else np.take(x, [i], axis)
        own = target[i] if isinstance(x, list) else np.take(target, [i], axis)
        out = model(one)
        out = np.float64((out[0] if isinstance(out, list) else out).data)
        scores.append(np.moveaxis(out, class_axis, -1).reshape(-1, 4))
        labels.append(np.reshape(own, -1))
    model.train()
    return np.concatenate(scores), np.concatenate(labels)


def expected(scores, labels, weight):
    logp = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    kept = labels != -100
    scores, logp, labels = scores[kept], logp[kept], labels[kept]
    w = np.ones(len(labels)) if weight is None else np.array(weight)[labels]
    nll = -logp[np.arange(len(labels)), labels]
    return {
        "loss": (w * nll).sum() / w.sum(),
        "accuracy": (scores.argmax(1) == labels).mean(),
        "perplexity": np.exp(nll.mean()),
    }


@settings
@hypothesis.given(tasks(), st.integers(1, 10), st.booleans())
def test_evaluate_and_fit(task, batch_size, named):
    model, x, target, axis, class_axis, weight = task
    loss = "cross_entropy" if named and weight is None else nn.CrossEntropyLoss(weight and np.float32(weight))
    options = {"loss": loss, "metrics": ["accuracy", "perplexity"], "batch_size": batch_size, "class_axis": class_axis}
    if isinstance(x, list):
        options["class_axis"] = None
    scores, labels = one_by_one(model, x, target, axis, class_axis)
    sgd = fnn.optim.SGD(model.parameters(), lr=0)
    if not np.any(labels != -100):
        for call in (fnn.evaluate, fnn.fit):
            with pytest.raises(ValueError, match="nothing counts"):
                call(model, x, target, **options)
        return
    want = expected(scores, labels, weight)
    assert fnn.evaluate(model, x, target, **options) == pytest.approx(want, rel=1e-6, abs=1e-7)
    (row,) = fnn.fit(model, x, target, optimizer=sgd, validation_data=(x, target), seed=0, **options)
    for name, value in want.items():
        assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-7)
        assert row["val_" + name] == pytest.approx(value, rel=1e-6, abs=1e-7)


@settings
@hypothesis.given(tasks(), st.integers(1, 10))
def test_predict(task, batch_size):
    model, x, _, axis, _, _ = task
    model.eval()
    whole = model(x)
    got = model.predict(x, batch_size)
    if isinstance(x, list):
        assert all(np.array_equal(a, b.data) for a, b in zip(got, whole, strict=True))
        assert all(np.array_equal(a, model([part])[0].data) for a, part in zip(got, x, strict=True))
        return
    assert np.array_equal(got, whole.data)
    for i in range(x.shape[axis]):
        assert np.array_equal(np.take(got, [i], axis), model(np.take(x, [i], axis)).data)


@settings
@hypothesis.given(tasks(), st.integers(1, 10), st.integers(0, 5))
def test_a_step_of_fit_is_a_step_by_hand(task, batch_size, seed):
    """Same order, batches and gradients; what counts for nothing is left out."""
    model, x, target, axis, class_axis, _ = task
    if isinstance(x, list) or not np.any(target != -100):
        return
    start, count = model.state_dict(), x.shape[axis]
    given = {"class_axis": class_axis, "optimizer": fnn.optim.SGD(model.parameters(), lr=0.1)}
    fnn.fit(model, x, target, batch_size=batch_size, seed=seed, **given)
    trained = model.state_dict()
    model.load_state_dict(start)
    sgd = fnn.optim.SGD(model.parameters(), lr=0.1)
    order = fnn.random.epoch_generator(seed, 0).permutation(count)
    for first in range(0, count, batch_size):
        rows = order[first : first + batch_size]
        wanted = np.take(target, rows, axis).reshape(-1)
        out = model(np.ascontiguousarray(np.take(x, rows, axis)))
        out = out if class_axis == -1 or out.ndim == 2 else fnn.ops.transpose(out, 1, 2)
        if np.any(wanted != -100):
            sgd.zero_grad()
            fnn.losses.cross_entropy(out.reshape(-1, 4), wanted).backward()
            sgd.step()
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(trained[name], value, rtol=1e-5, atol=1e-6)

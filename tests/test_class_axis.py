"""Where the classes are: told by shapes that leave no doubt or by class_axis, in losses and metrics alike."""

import numpy as np
import pytest
from toys import one_thread  # noqa: F401

import fastnn as fnn
from fastnn import nn
from fastnn.training.classes import Rule, reading

METRICS = ["accuracy", "perplexity"]


def reference(scores, target, axis):
    scores = np.moveaxis(np.float64(scores), axis, -1).reshape(-1, scores.shape[axis])
    target = target.reshape(-1)
    logp = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    loss = -logp[np.arange(len(target)), target].mean()
    return {"loss": loss, "accuracy": (scores.argmax(-1) == target).mean(), "perplexity": np.exp(loss)}


@pytest.mark.parametrize(
    ("output", "target", "batch_axis", "axis"),
    [
        ((5, 3), (5,), 0, 1),
        ((5, 5), (5,), 0, 1),
        ((5, 7, 3), (5, 7), 0, 2),
        ((5, 3, 7), (5, 7), 0, 1),
        ((4, 4, 3), (4, 4), 0, 2),  # the batch says nothing
        ((4, 3, 4), (4, 4), 0, 1),
        ((5, 3, 8, 9), (5, 8, 9), 0, 1),
        ((5, 8, 9, 3), (5, 8, 9), 0, 3),
        ((5, 4, 4), (5, 4), 0, ValueError),
        ((5, 4, 4, 4), (5, 4, 4), 0, ValueError),
        ((7, 5, 7), (7, 5), 1, 2),
        ((5, 5, 5), (5, 5), 1, 2),
        ((5, 3), (4,), 0, ValueError),
        ((5, 3, 7), (5, 6), 0, ValueError),
        ((5,), (5, 3), 0, ValueError),
        ((), (), 0, ValueError),
        ((5, 1), (5,), 0, None),
        ((5, 1), (5, 1), 0, None),
        ((5,), (5,), 0, None),
        ((5,), (5, 1), 0, None),
        ((5, 1, 8, 9), (5, 8, 9), 0, None),
        ((5, 1, 8, 9), (5, 1, 8, 9), 0, None),
        ((5, 7, 1), (5, 7), 0, None),
        ((5, 3), (5, 3), 0, 1),
        ((5, 7, 3), (5, 7, 3), 0, ValueError),
        ((7, 5, 3), (7, 5, 3), 1, 2),
    ],
)
def test_the_rule(output, target, batch_axis, axis):
    rule = Rule(batch_axis)
    if axis is ValueError:
        with pytest.raises(ValueError, match="class_axis"):
            reading(output, target, rule, "op")
    else:
        assert reading(output, target, rule, "op") == (axis, axis is not None and output == target)


@pytest.mark.parametrize("samples", [1, 3, 4, 5, 6])
@pytest.mark.parametrize("steps", [2, 3, 4, 5])
@pytest.mark.parametrize("name", ["(N, C, L)", "(N, L, C)"])
def test_sequences_with_as_many_steps_as_classes(rng, name, steps, samples):
    axis = 1 if name == "(N, C, L)" else 2
    shape = (samples, 2, steps) if axis == 1 else (samples, steps, 2)
    model = nn.Conv1d(2, 4, 3, padding="same") if axis == 1 else nn.Linear(2, 4)
    x, target = rng.standard_normal(shape), rng.integers(0, 4, (samples, steps))
    want = reference(model.predict(x), target, axis)
    for size in (1, 2, 4, 100):
        for given in (axis, axis - 3):
            got = fnn.evaluate(model, x, target, metrics=METRICS, batch_size=size, class_axis=given)
            assert got == pytest.approx(want, rel=1e-5)
        for call in (fnn.evaluate, fnn.fit):
            if steps == 4:
                with pytest.raises(ValueError, match="pass class_axis=1 or class_axis=-1"):
                    call(model, x, target, metrics=METRICS, batch_size=size)
        if steps != 4:
            got = fnn.evaluate(model, x, target, metrics=METRICS, batch_size=size)
            assert got == pytest.approx(want, rel=1e-5)
            with pytest.raises(ValueError, match="class_axis"):
                fnn.evaluate(model, x, target, batch_size=size, class_axis=3 - axis)


@pytest.mark.parametrize("loss", ["cross_entropy", nn.CrossEntropyLoss(), nn.functional.cross_entropy])
def test_every_way_to_name_the_loss_reads_the_same(rng, loss):
    model, x, target = nn.Linear(2, 4), rng.standard_normal((5, 4, 2)), rng.integers(0, 4, (5, 4))
    want = reference(model.predict(x), target, 2)["loss"]
    assert fnn.evaluate(model, x, target, loss=loss, class_axis=-1)["loss"] == pytest.approx(want, rel=1e-5)
    soft = np.eye(4)[target]
    assert fnn.evaluate(model, x, soft, loss=loss, class_axis=-1)["loss"] == pytest.approx(want, rel=1e-5)
    with pytest.raises(ValueError, match="pass class_axis"):
        fnn.evaluate(model, x, soft, loss=loss)
    sgd = fnn.optim.SGD(model.parameters(), lr=0)
    (row,) = fnn.fit(model, x, target, loss=loss, class_axis=-1, optimizer=sgd, validation_split=0.4, batch_size=1)
    assert row["loss"] == pytest.approx(reference(model.predict(x[:3]), target[:3], 2)["loss"], rel=1e-5)
    assert row["val_loss"] == pytest.approx(reference(model.predict(x[3:]), target[3:], 2)["loss"], rel=1e-5)


def test_time_first(rng):
    model, x, target = nn.Linear(2, 4), rng.standard_normal((6, 5, 2)), rng.integers(0, 4, (6, 5))
    want = reference(model.predict(x), target, 2)
    for size in (1, 2, 5):
        got = fnn.evaluate(model, x, target, metrics=METRICS, batch_axis=1, batch_size=size)
        assert got == pytest.approx(want, rel=1e-5)
    with pytest.raises(ValueError, match=r"class_axis is 1, but .* samples on axis 1"):
        fnn.evaluate(model, x, target, batch_axis=1, class_axis=1)


def test_gradients_of_moved_classes(rng):
    """Training with classes on the last axis is training on the steps of all sequences."""
    x, target = rng.standard_normal((6, 4, 2)), rng.integers(0, 4, (6, 4))
    ends = []
    for arrays, given in (((x, target), -1), ((x.reshape(24, 2), target.reshape(24)), None)):
        fnn.manual_seed(1)
        model = nn.Linear(2, 4)
        sgd = fnn.optim.SGD(model.parameters(), lr=0.5)
        fnn.fit(model, *arrays, optimizer=sgd, batch_size=24, epochs=3, shuffle=False, class_axis=given)
        ends.append(model.weight.data)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5)


def test_one_output_is_no_classifier(rng):
    """The softmax of a single score is 1: a loss of 0 for any answer."""
    model, x = nn.Linear(3, 1), rng.standard_normal((6, 3))
    for target in (np.zeros(6, int), np.zeros((6, 1), int), np.zeros((6, 1))):
        for call in (fnn.fit, fnn.evaluate):
            with pytest.raises(ValueError, match=r"one score per target, whose softmax is always 1.*2 for two classes"):
                call(model, x, target)
    for call in (fnn.fit, fnn.evaluate):
        with pytest.raises(ValueError, match=r"one-hot labels\? Write target\.argmax\(1\)"):
            call(nn.Linear(3, 4), x, np.eye(6, 4, dtype=int))

"""fit and evaluate refuse what cannot work before anything is trained."""

import numpy as np
import pytest
from toys import bars, one_thread, tiny_cnn, weights  # noqa: F401

import fastnn as fnn


def test_errors():
    x, y = bars(6)
    model = tiny_cnn()
    for message, options in {
        r"fit: x of shape \(0, 1, 8, 8\) has no samples": {"x": x[:0], "y": y[:0]},
        "x has 6 samples but y has 5": {"y": y[:5]},
        r"x\[0\] has 6 samples but x\[1\] has 5": {"x": (x, x[:5])},
        "y is a single value": {"y": 3},
        "batch_size is 0": {"batch_size": 0},
        "epochs is -1": {"epochs": -1},
        "loss is 'crossentropy', expected one of cross_entropy": {"loss": "crossentropy"},
        "metric 'acc' is not known, expected one of accuracy": {"metrics": ["acc"]},
        "each needs a name of its own": {"metrics": ["accuracy", "accuracy"]},
        "validation_split is 1": {"validation_split": 1},
        r"validation_split 0\.01 of 1 samples": {"validation_split": 0.01, "x": x[:1], "y": y[:1]},
        "not both": {"validation_split": 0.5, "validation_data": (x, y)},
        "validation_data must be a pair": {"validation_data": x},
        "validation_data: x has 6 samples but y has 5": {"validation_data": (x, y[:5])},
        "max_norm is -1": {"clip_grad_norm": -1},
    }.items():
        with pytest.raises(ValueError, match=message):
            fnn.fit(model, **{"x": x, "y": y, **options})
    with pytest.raises(TypeError, match="the loss is 3"):
        fnn.fit(model, x, y, loss=lambda out, t: 3)
    with pytest.raises(TypeError, match="expected a list of names or functions"):
        fnn.fit(model, x, y, metrics="accuracy")
    with pytest.raises(ValueError, match="evaluate: x has 6 samples but y has 5"):
        fnn.evaluate(model, x, y[:5])
    with pytest.raises(ValueError, match=r"accuracy: output has shape \(6, 3\) but target has \(6, 2\)"):
        fnn.evaluate(model, x, np.zeros((6, 2)), loss=lambda out, t: out.mean(), metrics=["accuracy"])

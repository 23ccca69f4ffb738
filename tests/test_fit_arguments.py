"""fit and evaluate refuse what cannot work before anything is trained."""

import numpy as np
import pytest
from toys import bars, one_thread, tiny_cnn, weights  # noqa: F401

import fastnn as fnn
from fastnn import nn


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


def small():
    return nn.Linear(3, 4), np.random.default_rng(0).standard_normal((10, 3)), np.arange(10) % 4


WRONG = {
    "optimizer is 'adam', expected one such as fnn.optim.Adam": {"optimizer": "adam"},
    "optimizer is the class SGD, expected an object: write SGD": {"optimizer": fnn.optim.SGD},
    "optimizer is <function": {"optimizer": lambda: None},
    "epochs is 2.5": {"epochs": 2.5},
    "batch_size is '32'": {"batch_size": "32"},
    "batch_size is None": {"batch_size": None},
    "seed is 'one'": {"seed": "one"},
    "seed is 0.5": {"seed": 0.5},
    "clip_grad_norm is '1'": {"clip_grad_norm": "1"},
    "validation_split is '0.1'": {"validation_split": "0.1"},
    "shuffle is 'no'": {"shuffle": "no"},
    "drop_last is None": {"drop_last": None},
    "progress is 'bar'": {"progress": "bar"},
    "loss is None": {"loss": None},
    "loss is the class CrossEntropyLoss.*write CrossEntropyLoss": {"loss": nn.CrossEntropyLoss},
    "metrics holds the class dict": {"metrics": [dict]},
    "metrics holds 3": {"metrics": [3]},
    "metrics is None": {"metrics": None},
    "the loss is Tensor of shape .10,., .*must be 'mean' or 'sum'": {"loss": nn.CrossEntropyLoss(reduction="none")},
}


@pytest.mark.parametrize("message", WRONG)
def test_arguments_of_another_kind(message):
    model, x, y = small()
    before = weights(model)
    with pytest.raises(TypeError, match=message):
        fnn.fit(model, x, y, **WRONG[message])
    assert np.array_equal(weights(model), before)


@pytest.mark.parametrize("call", [fnn.fit, fnn.evaluate])
def test_what_is_no_model(call):
    _, x, y = small()
    for model, message in ((nn.Linear, "is the class Linear"), (lambda x: x, "is a function"), (None, "is a NoneType")):
        with pytest.raises(TypeError, match=f"{call.__name__}: model {message}"):
            call(model, x, y)


@pytest.mark.parametrize("name", fnn.losses.LOSSES)
def test_misspelt_losses(name):
    for call in (fnn.fit, fnn.evaluate):
        with pytest.raises(ValueError, match=f"loss is '{name.upper()}x', expected one of .*did you mean '{name}'"):
            call(*small(), loss=name.upper() + "x")


class Returns(nn.Module):
    def __init__(self, function):
        self.linear, self.function = nn.Linear(3, 4), function

    def forward(self, x):
        return self.function(self.linear(x))


@pytest.mark.parametrize("call", [fnn.fit, fnn.evaluate])
def test_outputs_that_no_loss_by_name_can_take(call):
    _, x, y = small()
    with pytest.raises(ValueError, match=f"{call.__name__}: the model returned None; does forward of Returns"):
        call(Returns(lambda out: None), x, y)
    for loss, target in (("cross_entropy", y), ("mse", np.zeros((10, 4)))):
        for model in (Returns(lambda out: (out, out)), Returns(lambda out: {"scores": out, "more": out})):
            message = rf"{call.__name__}: '{loss}' takes one output.* of shapes \(\d+, 4\), \(\d+, 4\); the target"
            with pytest.raises(ValueError, match=message):
                call(model, x, target, loss=loss)
    with pytest.raises(ValueError, match=f"{call.__name__}: 'cross_entropy' takes one target, but y is None"):
        call(nn.Linear(3, 4), x)
    lstm = nn.LSTM(3, 2, batch_first=True)
    with pytest.raises(ValueError, match=f"{call.__name__}: 'mse' takes one output, but the model returns a tuple"):
        call(lstm, np.ones((4, 5, 3)), np.ones((4, 5, 2)), loss="mse")


def test_a_last_batch_of_one_sample():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((33, 3)), rng.integers(0, 2, 33)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    before = model.state_dict()
    for options in ({"batch_size": 32}, {"batch_size": 1}, {"batch_size": 8, "validation_split": 8 / 33}):
        with pytest.raises(ValueError, match=r"fit: one sample, .* pass drop_last=True or another batch_size"):
            fnn.fit(model, x, y, **options)
        assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    (row,) = fnn.fit(model, x, y, batch_size=32, drop_last=True)
    assert model[1].num_batches_tracked == 1
    assert np.isfinite(row["loss"])
    fnn.fit(model, x, y, batch_size=31)
    assert model[1].num_batches_tracked == 3  # the trial does not count
    images = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(9, 2))
    assert len(fnn.fit(images, rng.standard_normal((5, 1, 3, 3)), y[:5], batch_size=4)) == 1
    with pytest.raises(ValueError, match="drop_last=True leaves nothing of 33 samples in batches of 34"):
        fnn.fit(model, x, y, batch_size=34, drop_last=True)


def test_validation_that_cannot_work():
    model, x, y = small()
    before = weights(model)
    for message, data in {
        r"x has shape \(10, 3\), but in validation_data it has \(10, 3, 1\)": (x[..., None], y),
        r"y has shape \(10,\), but in validation_data it has \(10, 1\)": (x, y[:, None]),
        "validation data, x of .*10, 2.*, cannot be evaluated: .*": (x[:, :2], y),
        "validation data, x of .*, cannot be evaluated: .*target number 0 is 9": (x, y + 9),
        "validation_data has 2 inputs and 1 targets, training has 1 and 1": ((x, x), y),
    }.items():
        with pytest.raises(ValueError, match=message):
            fnn.fit(model, x, y, validation_data=data)

    def fails(target, prediction):
        if len(target) == 7:
            raise ValueError("seven")
        return 0.0

    with pytest.raises(ValueError, match=r"metric fails\(target, prediction\).*says: seven"):
        fnn.fit(model, x, y, validation_data=(x[:7], y[:7]), metrics=[fails])
    with pytest.raises(ValueError, match=r"metric <lambda> returned .*expected a number"):
        fnn.fit(model, x, y, metrics=[lambda t, p: p])
    assert np.array_equal(weights(model), before)


def test_an_optimizer_of_another_model():
    model, x, y = small()
    before = weights(model)
    with pytest.raises(ValueError, match="SGD holds none of the model's parameters"):
        fnn.fit(model, x, y, optimizer=fnn.optim.SGD(small()[0].parameters()))
    assert np.array_equal(weights(model), before)


def test_parameters_that_are_not_trained_are_named():
    class Net(nn.Module):
        def __init__(self):
            self.first, self.unused, self.last = nn.Linear(3, 4), nn.Linear(2, 2), nn.Linear(4, 4)

        def forward(self, x):
            return self.last(self.first(x))

    _, x, y = small()
    model = Net()
    with pytest.warns(UserWarning, match=r"unused\.weight, unused\.bias got no gradient") as said:
        fnn.fit(model, x, y, epochs=3, batch_size=2)
    assert len(said) == 1
    assert said[0].filename == __file__
    model.unused.requires_grad_(False)
    sgd = fnn.optim.SGD([p for p in model.parameters() if p.requires_grad])
    fnn.fit(model, x, y, optimizer=sgd)  # nothing to say
    model.last = nn.Linear(4, 4)
    with pytest.warns(UserWarning, match=r"last\.weight, last\.bias are not the optimizer's"):
        fnn.fit(model, x, y, optimizer=sgd)
    model.last.requires_grad_(False)
    fnn.fit(model, x, y, optimizer=sgd)


def test_what_numpy_would_misread_is_refused():
    model, x, y = small()
    masked = np.ma.array(x, mask=x > 1)
    for call in (fnn.fit, fnn.evaluate):
        for args, name in (((masked, y), "x"), ((x, np.ma.array(y, mask=y > 1)), "y"), (((x, masked), y), r"x\[1\]")):
            with pytest.raises(TypeError, match=f"{call.__name__}: {name} is a masked array; write .*filled"):
                call(model, *args)
    sparse = pytest.importorskip("scipy.sparse")
    for call in (fnn.fit, fnn.evaluate):
        with pytest.raises(TypeError, match=rf"{call.__name__}: x is a sparse matrix .*write x\.toarray\(\)"):
            call(model, sparse.csr_matrix(x), y)


def test_the_trial_leaves_nothing_behind():
    class Counts(nn.Module):
        def __init__(self):
            self.linear, self.norm, self.drop = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)
            self.calls, self.state = 0, None

        def forward(self, x):
            self.calls += 1
            assert self.state is None or self.calls > 1
            self.state = x
            return self.drop(self.norm(self.linear(x)))

    _, x, y = small()
    model, state = Counts(), fnn.get_rng_state()
    before = model.state_dict()
    assert fnn.fit(model, x, y, epochs=0, validation_data=(x, y)) == []
    assert (model.calls, model.state, model.training) == (0, None, True)
    assert all(np.array_equal(value, before[name]) for name, value in model.state_dict().items())
    assert fnn.get_rng_state() == state


def test_nothing_to_train():
    model, x, y = small()
    with pytest.raises(ValueError, match="fit: the loss depends on nothing that requires a gradient"):
        fnn.fit(model.requires_grad_(False), x, y)
    with pytest.raises(ValueError, match="params is empty; does the model have parameters"):
        fnn.fit(nn.Identity(), x, y)


@pytest.mark.parametrize("call", [fnn.fit, fnn.evaluate])
def test_targets_in_a_column_and_of_ctc(call):
    model, x, y = small()
    with pytest.raises(ValueError, match=r"target has \(10, 1\), in a column: write target\.reshape\(-1\)"):
        call(model, x, y[:, None])
    with pytest.raises(ValueError, match=r"CTCLoss takes y=\(targets, input_lengths, target_lengths\)"):
        call(model, x, y, loss=nn.CTCLoss())

"""Every pointwise loss against its row in reference/pointwise_loss.py, and against torch."""

import inspect

import numpy as np
import pytest
from check import check_op
from reference.pointwise_loss import INF, LOSSES, NAN

import fastnn as fnn
from fastnn import _core, losses, nn, ops
from fastnn.ops.pointwise_loss import POINTWISE_LOSSES

every = pytest.mark.parametrize("row", LOSSES.values(), ids=LOSSES)
reductions = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def op_of(row):
    return getattr(ops, row.name)


def targets(rng, shape):
    """In [0, 1], as some losses want them, and never where a loss has a kink: |x| is not near 1."""
    return rng.uniform(0, 0.9, shape)


def outputs(rng, shape):
    x = rng.standard_normal(shape) * 2
    return x + np.copysign(1, x)


def test_every_loss_has_a_row():
    assert {row.name for row in LOSSES.values()} == {op.name for op in POINTWISE_LOSSES.values()}
    names = {name: getattr(ops, row.name) for row in LOSSES.values() for name in (*row.short, row.name)}
    assert names == POINTWISE_LOSSES
    assert all(losses.get(name) is op for name, op in names.items())
    assert {row.layer for row in LOSSES.values()} == {kind.__name__ for kind in losses.POINTWISE}


@every
@reductions
@pytest.mark.parametrize("shape", [(), (1,), (15,), (16, 3), (2, 3, 4, 5)], ids=str)
def test_against_float64(isa, rng, row, shape, reduction):
    """Gradients of the output and of the target."""
    options = {"reduction": reduction, **row.options}
    check_op(
        lambda x, t: op_of(row)(x, t, **options),
        lambda x, t: np.asarray(row.reference(x, t, reduction=reduction)),
        outputs(rng, shape),
        targets(rng, shape),
    )


@every
def test_several_tasks(isa, rng, row):
    check_op(
        lambda x, t: op_of(row)(x, t, **row.options),
        lambda x, t: np.asarray(row.reference(x, t)),
        outputs(rng, 40_001),
        targets(rng, 40_001),
        probes=4,
    )


@every
def test_each_element_to_the_last_bits(isa, rng, row):
    """Within 4 units in the last place, over all magnitudes; the sum is that of float64."""
    x = np.concatenate([rng.standard_normal(5000) * 10.0**e for e in range(-10, 3)]).astype(np.float32)
    t = rng.uniform(0, 1, x.size).astype(np.float32)
    exact = row.reference(x.astype(np.float64), t.astype(np.float64), reduction="none")
    each = op_of(row)(x, t, reduction="none", **row.options)
    assert np.all(np.abs(each - exact) <= 4 * np.spacing(np.abs(exact).astype(np.float32)))
    assert np.isclose(op_of(row)(x, t, reduction="sum", **row.options), exact.sum(), rtol=1e-6)


@every
def test_no_false_overflow(isa, row):
    x = np.full(10**6, 3e18, np.float32)
    x[0] = 1e22  # its square alone is beyond float32, the mean is not
    zeros = np.zeros(x.shape)
    with np.errstate(over="ignore"):
        want = row.reference(x.astype(np.float64), zeros)
    assert np.isclose(op_of(row)(x, zeros, **row.options), want)


@every
def test_non_finite(isa, row):
    x = fnn.Tensor([NAN, INF, -INF, 1, 0] * 7, requires_grad=True)  # whole blocks and a tail
    y = op_of(row)(x, np.ones(35), reduction="none", **row.options)
    y.backward(np.ones(35))
    for ours, want in ((y.numpy(), row.values), (x.grad, row.slopes)):
        np.testing.assert_allclose(ours, np.tile(np.float32(want), 7), rtol=1e-6)


@every
def test_one_element_spoils_no_other(isa, rng, row):
    """Of a block: the losses and gradients of the others keep their bits."""
    clean, t = outputs(rng, 37).astype(np.float32), targets(rng, 37)
    results = []
    for value in (clean[20], NAN, INF, 1e38):
        x = clean.copy()
        x[20] = value
        x = fnn.Tensor(x, requires_grad=True)
        y = op_of(row)(x, t, reduction="none", **row.options)
        y.backward(np.ones(37))
        results.append(np.delete(np.stack([y.numpy(), x.grad]), 20, axis=1))
    assert all(np.array_equal(r, results[0]) for r in results)


@every
def test_strides_and_empty(rng, row):
    x, op = outputs(rng, (6, 8)).astype(np.float32), op_of(row)
    t = targets(rng, (6, 8)).astype(np.float32)
    assert op(x[:, ::2], t.T[::2, :].T, **row.options) == op(x[:, ::2].copy(), t[:, ::2].copy(), **row.options)
    assert np.isnan(op(np.zeros(0), np.zeros(0), **row.options))
    assert op(np.zeros(0), np.zeros(0), reduction="sum", **row.options) == 0
    x = fnn.Tensor(np.zeros((3, 0)), requires_grad=True)
    op(x, np.zeros((3, 0)), reduction="none", **row.options).backward(np.zeros((3, 0)))
    assert x.grad.shape == (3, 0)


@every
@reductions
def test_layers(rng, row, reduction):
    x, t = outputs(rng, (4, 5)), targets(rng, (4, 5))
    layer = getattr(nn, row.layer)(reduction=reduction, **row.options)
    assert np.array_equal(layer(fnn.Tensor(x), t), op_of(row)(x, t, reduction=reduction, **row.options))
    assert np.array_equal(getattr(nn, row.layer)()(fnn.Tensor(x), t), op_of(row)(x, t))
    assert getattr(nn.functional, row.name) is op_of(row)


@every
def test_mean_over_batches_is_the_mean(rng, row):
    """evaluate counts elements: the last batch is smaller; targets (N) go with outputs (N, 1)."""
    x, t = outputs(rng, (23, 4)).astype(np.float32), targets(rng, (23, 4)).astype(np.float32)
    for loss in (getattr(nn, row.layer)(**row.options), row.name, *row.short):
        options = {} if isinstance(loss, str) else row.options
        want = op_of(row)(x, t, **options)
        assert fnn.evaluate(nn.Identity(), x, t, loss=loss, batch_size=5)["loss"] == pytest.approx(want, rel=1e-5)
        want = op_of(row)(x[:, :1], t[:, :1], **options)
        got = fnn.evaluate(nn.Identity(), x[:, :1], t[:, 0], loss=loss, batch_size=5)
        assert got["loss"] == pytest.approx(want, rel=1e-5)
    total = fnn.evaluate(nn.Identity(), x, t, loss=getattr(nn, row.layer)(reduction="sum"), batch_size=5)["loss"]
    assert total == pytest.approx(op_of(row)(x, t, reduction="sum"), rel=1e-5)


@every
def test_fit(row):
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    history = fnn.fit(nn.Linear(1, 1), x, (x > 0).astype(np.float32), loss=row.short[0], epochs=5, seed=0)
    assert history[-1]["loss"] < history[0]["loss"]


@pytest.mark.parametrize("shape", [(6, 1), (6,)], ids=str)
def test_accuracy_of_scores(shape):
    """Class 1 is above 0 for scores, and above 0.5 for other losses, where the same numbers are shares."""
    x, t = np.array([-3, 0.2, 0.4, -0.1, 0.7, 2], np.float32).reshape(shape), np.array([0, 1, 1, 1, 0, 1])
    for loss, right in (("bce_with_logits", 4), (nn.BCEWithLogitsLoss(pos_weight=2.0), 4), ("mse", 2)):
        assert fnn.evaluate(nn.Identity(), x, t, loss=loss, metrics=["accuracy"])["accuracy"] == pytest.approx(
            right / 6
        )


@every
@reductions
def test_against_torch(rng, row, reduction):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, row.name)
    x, t = outputs(rng, (2, 3, 7)).astype(np.float32), targets(rng, (2, 3, 7)).astype(np.float32)
    x[0, 0, :2], t[0, 0, :2] = (0.25, 0.5), (0.25, 0)  # a kink
    for options in ({}, row.options):
        given = {k: torch.tensor(v) if "weight" in k else v for k, v in options.items()}
        a, b = (fnn.Tensor(v, requires_grad=True) for v in (x, t))
        c, d = (torch.tensor(v, requires_grad=True) for v in (x, t))
        y, want = op_of(row)(a, b, reduction=reduction, **options), theirs(c, d, reduction=reduction, **given)
        dy = np.linspace(0.5, 2, want.numel(), dtype=np.float32).reshape(want.shape)
        y.backward(dy)
        want.backward(torch.from_numpy(dy))
        np.testing.assert_allclose(y.numpy(), want.detach().numpy(), rtol=2e-6, atol=1e-6)
        np.testing.assert_allclose(a.grad, c.grad.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(b.grad, d.grad.numpy(), rtol=1e-5, atol=1e-6)


@every
def test_constructors_are_torchs(row):
    """Its arguments, their order and defaults, without those that torch itself advises against."""
    torch = pytest.importorskip("torch")
    ours, theirs = (inspect.signature(getattr(n, row.layer)).parameters.values() for n in (nn, torch.nn))
    old = ("size_average", "reduce")
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs if p.name not in old]


@every
def test_errors(row):
    op, name = op_of(row), row.name
    with pytest.raises(ValueError, match=rf"{name}: input has shape \(3, 1\) but target has \(3,\)"):
        op(np.zeros((3, 1)), np.zeros(3))
    with pytest.raises(ValueError, match=f"{name}: reduction is 'average'"):
        op(np.zeros(3), np.zeros(3), reduction="average")
    with pytest.raises(ValueError, match=f"{row.layer}: reduction is None"):
        getattr(nn, row.layer)(reduction=None)


@pytest.mark.parametrize(
    "shapes", [((5,), (5,)), ((4, 1), (5,)), ((4, 5), None), (None, (4, 1)), ((), (1, 1))], ids=str
)
def test_weights(isa, rng, shapes):
    """Of elements, rows, columns: as torch broadcasts them, and no gradients of theirs."""
    torch = pytest.importorskip("torch")
    x, t = rng.standard_normal((4, 5)).astype(np.float32), rng.uniform(0, 1, (4, 5)).astype(np.float32)
    drawn = [None if shape is None else rng.uniform(0.2, 3, shape).astype(np.float32) for shape in shapes]
    given = dict(zip(("weight", "pos_weight"), drawn, strict=True))
    check_op(
        lambda a, b: ops.binary_cross_entropy_with_logits(a, b, **given),
        lambda a, b: np.asarray(
            LOSSES["binary_cross_entropy_with_logits"].formula(a, b, *[1 if w is None else w for w in drawn]).mean()
        ),
        x,
        t,
    )
    theirs = {name: None if w is None else torch.from_numpy(w.copy()) for name, w in given.items()}
    want = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(x), torch.tensor(t), **theirs)
    assert np.isclose(nn.BCEWithLogitsLoss(**given)(x, t), want.item(), rtol=2e-6)
    w = fnn.Parameter(np.ones(5))
    with pytest.raises(RuntimeError, match="no gradient for its argument 2"):
        ops.binary_cross_entropy_with_logits(x, t, w).backward()


def test_weights_that_do_not_fit():
    for shape in ((3,), (4, 4, 5), (5, 4)):
        with pytest.raises(ValueError, match="binary_cross_entropy_with_logits: "):
            ops.binary_cross_entropy_with_logits(np.zeros((4, 5)), np.zeros((4, 5)), np.ones(shape))


def test_options():
    for delta in (0, -1, NAN):
        with pytest.raises(ValueError, match="huber_loss: delta is"):
            ops.huber_loss(np.zeros(3), np.zeros(3), delta=delta)
        with pytest.raises(ValueError, match="HuberLoss: delta is"):
            nn.HuberLoss(delta=delta)


def test_the_kernels_check_memory():
    x = np.zeros((3, 4), np.float32)

    def call(name="mse_loss", x=x, target=x, weight=None, options=()):
        return _core.pointwise_loss(name, x, target, weight, None, options, 1.0, False, True, True)

    with pytest.raises(ValueError, match="there is no function 'cosine'"):
        call("cosine")
    with pytest.raises(ValueError, match="mse_loss: 1 options, expected 0"):
        call(options=(1.0,))
    with pytest.raises(ValueError, match="mse_loss: has no weights"):
        call(weight=x)
    with pytest.raises(ValueError, match=r"weight has shape \(4,\), expected \(3, 4\)"):
        call(weight=x[0])
    with pytest.raises(ValueError, match=r"target has shape \(4,\), expected \(3, 4\)"):
        call(target=x[0])
    with pytest.raises(TypeError, match="x must be C-contiguous"):
        call(x=x.T, target=x.T)

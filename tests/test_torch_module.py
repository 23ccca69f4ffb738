"""Against torch itself, where it is installed: the same names in the same order, and weights both ways."""

import inspect

import numpy as np
import pytest

import fastnn.nn
from fastnn import ops

torch = pytest.importorskip("torch")


def build(nn):
    """The same model from fastnn.nn or torch.nn, of the layers that both have."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
            self.scale = nn.Parameter(torch.ones(4) if nn is torch.nn else np.ones(4))
            if hasattr(fastnn.nn, "BatchNorm2d"):
                self.norm = nn.BatchNorm2d(4)
            if hasattr(fastnn.nn, "LSTM"):
                self.rnn = nn.LSTM(4, 3, num_layers=2, bidirectional=True)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Identity(), nn.Conv2d(4, 4, 1))
            self.blocks = nn.ModuleList([Block(), Block()])
            self.heads = nn.ModuleDict({"b": nn.Linear(4 * 36, 3), "a": nn.Linear(4 * 36, 2)})
            self.tied = self.heads["a"]

        def forward(self, x):
            x = self.stem(x)
            for block in self.blocks:
                x = x + block.conv(x) * block.scale.reshape(-1, 1, 1)
            x = x.flatten(1)
            return self.heads["b"](x), self.heads["a"](x)

    return Net()


def test_names_order_and_shapes():
    ours, theirs = build(fastnn.nn), build(torch.nn)
    for method in ("named_parameters", "named_buffers"):
        want = [(name, tuple(value.shape)) for name, value in getattr(theirs, method)()]
        assert [(name, value.shape) for name, value in getattr(ours, method)()] == want
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]


def test_weights_go_both_ways(rng):
    ours, theirs = build(fastnn.nn), build(torch.nn)
    x = rng.standard_normal((2, 1, 6, 6)).astype(np.float32)

    def assert_same():
        for a, b in zip(ours.predict(x), theirs(torch.from_numpy(x)), strict=True):
            assert np.allclose(a, b.detach().numpy(), rtol=1e-4, atol=1e-5)

    ours.load_state_dict(theirs.state_dict())
    assert_same()
    ours.heads["a"].bias.data += 1
    theirs.load_state_dict({name: torch.from_numpy(array) for name, array in ours.state_dict().items()})
    assert_same()
    half = {
        name: value.bfloat16() if value.is_floating_point() else value for name, value in theirs.state_dict().items()
    }
    ours.load_state_dict(half)
    theirs.load_state_dict(half)
    assert_same()


def test_gradients(rng):
    """The whole model, and a formula of the operations that users write between layers."""
    ours, theirs = build(fastnn.nn), build(torch.nn)
    ours.load_state_dict(theirs.state_dict())
    x = rng.standard_normal((2, 1, 6, 6)).astype(np.float32)

    def loss(model, x):
        b, a = model(x)
        p = b.exp() / b.exp().sum(dim=1, keepdim=True)
        q = (a**2).mean(dim=1).sqrt() + a.var() + (1 + (a.T @ b).abs()).log().sum()
        return (p[:, 1:] * q.unsqueeze(1)).sum() + b.clamp(-0.1, 0.2).sum() - a.transpose(0, 1).reshape(-1)[1]

    loss(ours, x).backward()
    loss(theirs, torch.from_numpy(x)).backward()
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        assert a.grad is None or np.allclose(a.grad, b.grad.numpy(), rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("pad", [(1, 2), (0, 1, 2, 0), (1, 1, 1, 1, 2, 2)], ids=str)
def test_pad(rng, pad):
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    want = torch.nn.functional.pad(torch.from_numpy(x), pad, value=1.5).numpy()
    assert np.array_equal(ops.pad(x, pad, value=1.5), want)


@pytest.mark.parametrize("case", [("chunk", 3), ("chunk", 7), ("split", 2), ("split", [1, 4]), ("split", 9)], ids=str)
def test_pieces(case):
    x = np.arange(10, dtype=np.float32).reshape(5, 2)
    ours, theirs = getattr(ops, case[0])(x, case[1]), getattr(torch, case[0])(torch.from_numpy(x), case[1])
    assert [a.tolist() for a in ours] == [b.tolist() for b in theirs]


def test_ties_and_corners(rng):
    """Where a derivative does not exist, ours is torch's."""
    values = np.array([-1.0, 0.0, 0.0, 1.0, 2.0], np.float32)
    for function in (
        lambda t, m: m.maximum(t, t * t).sum(),
        lambda t, m: m.minimum(t, t * t).sum(),
        lambda t, m: t.abs().sum() + t.clamp(0, 1).sum(),
        lambda t, m: (t**2).sum() + (t**0).sum() + (t**3).sum(),
    ):
        ours, theirs = fastnn.Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
        function(ours, ops).backward()
        function(theirs, torch).backward()
        assert np.array_equal(ours.grad, theirs.grad.numpy())


def test_functional_has_torchs_names_and_argument_order():
    """What torch has deprecated, or what writes into its input, is left out; what only we have needs its name."""
    left_out = {"size_average", "reduce", "inplace", "return_indices", "_stacklevel", "dtype"}
    names = fastnn.nn.functional.__all__
    assert {"conv2d", "linear", "pad"} <= set(names)
    for name in names:
        theirs = getattr(torch.nn.functional, name)
        try:
            want = [p for p in inspect.signature(theirs).parameters if p not in left_out]
        except ValueError:
            continue  # written in C
        if want == ["args", "kwargs"]:
            continue  # chosen by a flag at run time
        ours = inspect.signature(getattr(fastnn.nn.functional, name)).parameters.values()
        got = [p.name for p in ours if p.kind is not p.KEYWORD_ONLY]
        assert got[1:] == want[1 : len(got)], name

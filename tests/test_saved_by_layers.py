"""What tests/test_saved_values.py says of ops, of every layer of nn.__all__ that has parameters: a step of its
optimizer, load_state_dict and writes of the user between forward and backward."""

import numpy as np
import pytest
from models import LAYERS

import fastnn as fnn
from fastnn import nn

TRAINED = {
    name: parts for name, parts in LAYERS.items() if parts[1] is not None and any(True for _ in parts[0]().parameters())
}


def _outputs(result):
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in _outputs(part)]
    return [result]


def _gradients(name, write):
    """Gradients of the parameters of the layer and of one before it, under a cotangent that is not constant."""
    fnn.manual_seed(1)
    build, inputs = LAYERS[name]
    layer, arrays = build(), list(inputs(np.random.default_rng(0)))
    optimizer = fnn.optim.Adam(layer.parameters(), lr=0.1)
    scale = fnn.Parameter(np.float32(1.5))
    if arrays[0].dtype.kind == "f":
        arrays[0] = arrays[0] * scale
    draw = np.random.default_rng(2).standard_normal
    total = sum((o * draw(o.shape).astype(np.float32)).sum() for o in _outputs(layer(*arrays)))
    write(layer, optimizer)
    total.backward()
    return [p.grad for p in (*layer.parameters(), *([scale] if arrays[0] is not inputs else []))]


def _step(layer, optimizer):
    for p in layer.parameters():
        p.grad = np.ones(p.shape)
    optimizer.step()
    optimizer.zero_grad()


def _load(layer, _):
    layer.load_state_dict({key: array * 2 + 1 for key, array in layer.state_dict().items()})


def _data(layer, _):
    for p in layer.parameters():
        p.data[...] = 0.5


def _no_grad(layer, _):
    with fnn.no_grad():
        for p in layer.parameters():
            p *= 0.5


@pytest.mark.parametrize("write", [_step, _load, _data, _no_grad], ids=lambda f: f.__name__.strip("_"))
@pytest.mark.parametrize("name", TRAINED)
def test_the_gradient_is_that_of_the_weights_that_forward_saw(name, write):
    expected = _gradients(name, lambda *_: None)
    try:
        found = _gradients(name, write)
    except RuntimeError as error:
        assert "written since" in str(error)  # noqa: PT017  (both outcomes are right)
        return
    assert name == "Embedding", "a gradient reads the weights, and nobody noticed that they were written"
    assert all((a is None) == (b is None) for a, b in zip(found, expected, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True) if a is not None)


def test_a_generator_and_a_critic_take_turns():
    """The order in which a GAN is trained: each step is right when every backward comes before the other's step."""
    fnn.manual_seed(0)
    generator, critic = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizers = [fnn.optim.SGD(m.parameters(), lr=0.1) for m in (generator, critic)]
    noise = np.random.default_rng(0).standard_normal((16, 2))
    for _ in range(3):
        fake = generator(noise)
        for optimizer in optimizers:
            optimizer.zero_grad()
        (critic(fake.detach()) ** 2).mean().backward()
        optimizers[1].step()
        optimizers[1].zero_grad()
        critic(fake).mean().backward()
        optimizers[0].step()
    assert all(p.grad is not None for p in generator.parameters())


class Net(nn.Module):
    """A layer inside a model of the user's."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, *inputs):
        return self.layer(*inputs)


VIEWS = {
    "whole": lambda a: (a.copy(),) * 2,
    "slice": lambda a: (lambda b: (b, b[: len(a)]))(np.concatenate([a, a])),
    "all": lambda a: (lambda b: (b, b[:]))(a.copy()),
    "reshaped": lambda a: (lambda b: (b, b.reshape(a.shape)))(a.copy().reshape(-1)),
    "transposed": lambda a: (lambda b: (b, b.T))(np.ascontiguousarray(a.T)),
    "tensor": lambda a: (lambda b: (b, fnn.Tensor(b) if a.dtype.kind == "f" else b))(a.copy()),
}


@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in a model"])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", TRAINED)
def test_an_input_buffer_that_is_filled_again(name, view, inside):
    """Whatever view of the buffer the layer was given, and through whatever model."""
    build, inputs = LAYERS[name]
    results = []
    for again in (False, True):
        fnn.manual_seed(1)
        layer, (first, *rest) = build(), inputs(np.random.default_rng(0))
        buffer, seen = VIEWS[view](first)
        outputs = _outputs((Net(layer) if inside else layer)(seen, *rest))
        draw = np.random.default_rng(2).standard_normal
        total = sum((o * draw(o.shape).astype(np.float32)).sum() for o in outputs)
        if again:
            buffer[...] = 0 if buffer.dtype.kind == "i" else 0.25
        try:
            total.backward()
        except RuntimeError as error:
            assert again
            assert "written since" in str(error)  # noqa: PT017
            return
        results.append([p.grad for p in layer.parameters()])
    for one, other in zip(*results, strict=True):
        assert (one is None) == (other is None)
        assert one is None or np.array_equal(one, other)

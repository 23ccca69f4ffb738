"""Transposed convolution gives torch's numbers, where it is installed, and its layers interchange with torch's."""

import inspect

import numpy as np
import pytest

import fastnn as fnn
from fastnn import nn

torch = pytest.importorskip("torch")

# (class, in_channels, out_channels, kernel_size, options, sizes of x)
CASES = {
    "upsample": ("ConvTranspose2d", 6, 4, 4, {"stride": 2, "padding": 1}, (5, 7)),
    "odd": ("ConvTranspose2d", 3, 5, (3, 2), {"stride": (3, 2), "padding": (2, 0), "bias": False}, (4, 3)),
    "output_padding": ("ConvTranspose2d", 4, 2, 3, {"stride": 3, "padding": 1, "output_padding": (2, 1)}, (3, 4)),
    "output_padding_of_a_stride": ("ConvTranspose2d", 2, 3, 2, {"output_padding": (2, 1), "dilation": 3}, (3, 4)),
    "groups": ("ConvTranspose2d", 6, 4, 3, {"stride": 2, "groups": 2, "dilation": (2, 1)}, (4, 5)),
    "depthwise": ("ConvTranspose2d", 5, 5, 4, {"stride": 2, "padding": 1, "groups": 5}, (4, 4)),
    "pointwise": ("ConvTranspose2d", 5, 7, 1, {}, (3, 4)),
    "sequence": ("ConvTranspose1d", 4, 6, 5, {"stride": 3, "padding": 2, "output_padding": 1, "groups": 2}, (11,)),
}


@pytest.mark.parametrize("name", CASES)
def test_numbers_and_state(rng, name):
    kind, *sizes, options, pixels = CASES[name]
    ours, theirs = getattr(nn, kind)(*sizes, **options), getattr(torch.nn, kind)(*sizes, **options)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    ours.load_state_dict(theirs.state_dict())
    x = rng.standard_normal((2, sizes[0], *pixels)).astype(np.float32)
    tensor, peer = fnn.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, want = ours(tensor), theirs(peer)
    assert y.shape == tuple(want.shape)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    y.backward(dy)
    want.backward(torch.tensor(dy))
    np.testing.assert_allclose(y.numpy(), want.detach().numpy(), rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(tensor.grad, peer.grad.numpy(), rtol=1e-5, atol=5e-6)
    for (key, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        np.testing.assert_allclose(a.grad, b.grad.numpy(), rtol=1e-5, atol=2e-5, err_msg=key)
    theirs.load_state_dict({key: torch.from_numpy(array) for key, array in ours.state_dict().items()})


@pytest.mark.parametrize("kind", ["ConvTranspose1d", "ConvTranspose2d"])
def test_arguments_and_initialisation(kind):
    left_out = {"padding_mode", "device", "dtype"}
    want = [p for p in inspect.signature(getattr(torch.nn, kind)).parameters if p not in left_out]
    own = inspect.signature(getattr(nn, kind)).parameters
    assert [name for name, p in own.items() if p.kind is not p.KEYWORD_ONLY] == want
    sizes = {"in_channels": 32, "out_channels": 64, "kernel_size": 5, "groups": 2}
    ours, theirs = getattr(nn, kind)(**sizes), getattr(torch.nn, kind)(**sizes)
    for (key, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        spread = float(b.detach().std())
        assert abs(a.data.std() - spread) < (0.3 if key == "bias" else 0.05) * spread, key


@pytest.mark.parametrize("options", [{"output_padding": 1}, {"padding": 4}, {"groups": 2}], ids=str)
def test_refused_by_both(options):
    """What torch refuses, so do we."""
    x, w = np.ones((1, 3, 4, 4), np.float32), np.ones((3, 2, 3, 3), np.float32)
    with pytest.raises(RuntimeError):
        torch.nn.functional.conv_transpose2d(torch.tensor(x), torch.tensor(w), **options)
    with pytest.raises(ValueError, match="conv_transpose2d"):
        nn.functional.conv_transpose2d(x, w, **options)

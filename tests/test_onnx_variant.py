"""The variants that ONNX has, in ONNX Runtime: peepholes, and the reset gate before the product."""

import numpy as np
import pytest

from fastnn import ops

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(kind, inputs, outputs, **attributes):
    """One recurrent node; inputs by name, None for those left out."""
    names = [name if array is not None else "" for name, array in inputs.items()]
    node = onnx.helper.make_node(kind, names, outputs, **attributes)
    floats = onnx.TensorProto.FLOAT
    given = {name: array for name, array in inputs.items() if array is not None}
    graph = onnx.helper.make_graph(
        [node],
        "layer",
        [onnx.helper.make_tensor_value_info(name, floats, array.shape) for name, array in given.items()],
        [onnx.helper.make_tensor_value_info(name, floats, None) for name in outputs],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, given)


def reordered(array, order):
    """Blocks of gates along the first axis in ONNX's order."""
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[i] for i in order])


def weights(rng, gates, hidden, inputs):
    shapes = [(gates * hidden, inputs), (gates * hidden, hidden), (gates * hidden,), (gates * hidden,)]
    return [(0.5 * rng.standard_normal(shape)).astype(np.float32) for shape in shapes]


def close(ours, theirs, directions):
    """y (T, N, D * H) against (T, D, N, H)."""
    turned = theirs.transpose(0, 2, 1, 3).reshape(ours.shape)
    np.testing.assert_allclose(ours, turned, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("directions", [1, 2])
def test_peephole(rng, directions):
    hidden, order = 11, [0, 3, 1, 2]  # i, f, g, o -> i, o, f, c
    x = rng.standard_normal((6, 3, 4)).astype(np.float32)
    h0, c0 = (rng.standard_normal((directions, 3, hidden)).astype(np.float32) for _ in range(2))
    own = [weights(rng, 4, hidden, 4) for _ in range(directions)]
    peepholes = [rng.standard_normal((3, hidden)).astype(np.float32) for _ in range(directions)]
    parts = [[reordered(a, order) for a in w] for w in own]
    inputs = {
        "x": x,
        "w": np.stack([p[0] for p in parts]),
        "r": np.stack([p[1] for p in parts]),
        "b": np.stack([np.concatenate(p[2:]) for p in parts]),
        "lengths": None,
        "h0": h0,
        "c0": c0,
        "p": np.stack([np.concatenate([p[0], p[2], p[1]]) for p in peepholes]),  # i, f, o -> i, o, f
    }
    direction = "bidirectional" if directions == 2 else "forward"
    y, h_n, c_n = run("LSTM", inputs, ["y", "h_n", "c_n"], hidden_size=hidden, direction=direction)
    arrays = [a for w, p in zip(own, peepholes, strict=True) for a in (*w, None, p, None, None, None, None)]
    ours = ops.lstm_variant(x, h0, c0, *arrays)
    close(ours[0], y, directions)
    np.testing.assert_allclose(ours[1], h_n, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours[2], c_n, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("directions", [1, 2])
def test_linear_before_reset(rng, directions, reset_after):
    hidden, order = 11, [1, 0, 2]  # r, z, n -> z, r, h
    x = rng.standard_normal((6, 3, 4)).astype(np.float32)
    h0 = rng.standard_normal((directions, 3, hidden)).astype(np.float32)
    own = [weights(rng, 3, hidden, 4) for _ in range(directions)]
    parts = [[reordered(a, order) for a in w] for w in own]
    inputs = {
        "x": x,
        "w": np.stack([p[0] for p in parts]),
        "r": np.stack([p[1] for p in parts]),
        "b": np.stack([np.concatenate(p[2:]) for p in parts]),
        "lengths": None,
        "h0": h0,
    }
    options = {"direction": "bidirectional" if directions == 2 else "forward", "linear_before_reset": int(reset_after)}
    y, h_n = run("GRU", inputs, ["y", "h_n"], hidden_size=hidden, **options)
    ours = ops.gru_variant(x, h0, *[a for w in own for a in w], reset_after=reset_after)
    close(ours[0], y, directions)
    np.testing.assert_allclose(ours[1], h_n, rtol=1e-4, atol=1e-5)

"""What crashed, hung or corrupted memory elsewhere: here each call raises a plain error, or answers, and the next calls
give the bits they gave before. Named by the CVE, advisory or project issue.
"""

import time

import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core, nn, ops

ERRORS = (TypeError, ValueError, IndexError, MemoryError)
HUGE = (2**31 - 1, 2**31, 2**32 + 1, 2**62, 2**63 - 1, 2**63, 10**30)


def ones(*shape):
    return np.ones(shape, np.float32)


def image(*shape):
    """Ones that lie channels last in memory, as bindings want gradients."""
    n, c, h, w = shape
    return ones(n, h, w, c).transpose(0, 3, 1, 2)


def _canary():
    x = np.linspace(-1, 1, 2 * 3 * 8 * 8, dtype=np.float32).reshape(2, 3, 8, 8)
    w = fnn.Tensor(np.linspace(1, -1, 4 * 3 * 9, dtype=np.float32).reshape(4, 3, 3, 3), requires_grad=True)
    y = ops.conv2d(x, w, padding=1)
    y.backward(y.numpy())
    states = ops.lstm(x[0, :, :3, :5], None, None, np.linspace(-1, 1, 80).reshape(16, 5), np.eye(16, 4))
    return y.numpy().tobytes() + w.grad.numpy().tobytes() + b"".join(s.tobytes() for s in states)


CANARY = _canary()


def _check(call, must_raise):
    start = time.process_time()  # a hang, not a slow or busy machine
    try:
        call()
        raised = False
    except ERRORS as error:
        raised = True
        assert str(error)  # noqa: PT017  (an error without words helps nobody)
    assert time.process_time() - start < 10
    assert raised or not must_raise
    assert _canary() == CANARY


def _lstm(x=(5, 2, 3), h=(1, 2, 4), c=(1, 2, 4), ih=(16, 3), hh=(16, 4), b=(16,)):
    return lambda: ops.lstm(ones(*x), ones(*h), ones(*c), ones(*ih), ones(*hh), ones(*b), ones(*b))


def _gru(x=(5, 2, 3), h=(1, 2, 4), ih=(12, 3), hh=(12, 4), b=(12,)):
    return lambda: ops.gru(ones(*x), ones(*h), ones(*ih), ones(*hh), ones(*b), ones(*b))


def _lstm_cell(x=(2, 3), h=(2, 4), c=(2, 4), ih=(16, 3), hh=(16, 4)):
    return lambda: ops.lstm_cell(ones(*x), ones(*h), ones(*c), ones(*ih), ones(*hh))


RAISES = {
    # states and weights of recurrent layers that do not fit each other
    "pytorch-193823 state of rank 3 for one step": _lstm_cell(x=(3,), h=(2, 3, 3), c=(2, 3, 3)),
    "pytorch-106769 batch of the state": _lstm_cell(h=(3, 4)),
    "pytorch-94808 hidden size of the state": _lstm(h=(1, 2, 5)),
    "pytorch-173946 cell state smaller than the hidden state": _lstm(c=(1, 1, 4)),
    "CVE-2022-29200 scalar as state": _lstm(h=()),
    "CVE-2022-29200 state of rank 1": _lstm(c=(4,)),
    "CVE-2023-25658 gates do not divide": _gru(ih=(11, 3), hh=(11, 4), b=(11,)),
    "CVE-2023-25658 bias of another size": _gru(b=(13,)),
    "GRU state with too many layers": _gru(h=(2, 2, 4)),
    "LSTM weights of different hidden sizes": _lstm(ih=(12, 3)),
    "LSTM input size": _lstm(x=(5, 2, 4)),
    "LSTM without time steps": _lstm(x=(0, 2, 3)),
    "LSTM of hidden size zero": _lstm(h=(1, 2, 0), c=(1, 2, 0), ih=(0, 3), hh=(0, 0), b=(0,)),
    "pytorch-114928 ragged list": lambda: ops.lstm([[1.0], [1.0, 2.0]], None, None, ones(4, 1), ones(4, 1)),
    # gradients that trust the sizes of the caller
    "CVE-2021-29540 filter gradient of another shape": lambda: _core.conv2d_backward_weight(
        image(1, 3, 8, 8), image(1, 4, 6, 6), [4, 3, 5, 5], [1, 1], [0, 0, 0, 0], [1, 1], 1
    ),
    "CVE-2021-29525 input gradient, empty filter": lambda: _core.conv2d_backward_input(
        image(1, 4, 6, 6), ones(4, 3, 0, 0), [1, 3, 8, 8], [1, 1], [0, 0, 0, 0], [1, 1], 1
    ),
    "CVE-2021-29525 stride of zero": lambda: _core.conv2d_backward_input(
        image(1, 4, 6, 6), ones(4, 3, 3, 3), [1, 3, 8, 8], [0, 0], [0, 0, 0, 0], [1, 1], 1
    ),
    "CVE-2021-29525 no groups": lambda: _core.conv2d_forward(
        ones(1, 3, 8, 8), ones(4, 3, 3, 3), None, [1, 1], [0, 0, 0, 0], [1, 1], 0
    ),
    "CVE-2021-29579 negative sizes of the input": lambda: _core.conv2d_backward_input(
        image(1, 4, 6, 6), ones(4, 3, 3, 3), [1, 3, -8, -8], [1, 1], [0, 0, 0, 0], [1, 1], 1
    ),
    "CVE-2026-21869 negative padding": lambda: _core.conv2d_forward(
        ones(1, 3, 8, 8), ones(4, 3, 3, 3), None, [1, 1], [-3, -3, -3, -3], [1, 1], 1
    ),
    "TFSA-2021-199 kernel of size zero": lambda: ops.conv2d(ones(1, 1, 4, 4), ones(1, 1, 0, 0)),
    "backward of another shape": lambda: ops.conv2d(
        fnn.Tensor(ones(1, 1, 4, 4), requires_grad=True), ones(1, 1, 3, 3)
    ).backward(ones(1, 1, 4, 4)),
    # sizes whose product overflows
    "pytorch-73189 kernel of 1.8e9": lambda: nn.Conv2d(1, 1, 1_800_000_000),
    "pytorch-73189 padding of 1e12": lambda: ops.conv2d(ones(1, 1, 4, 4), ones(1, 1, 3, 3), padding=10**12),
    "CVE-2021-41197 product of sizes": lambda: ops.matmul(
        np.broadcast_to(np.float32(1), (2**31, 2)), np.broadcast_to(np.float32(1), (2, 2**31))
    ),
    "CVE-2021-29584 shape of 2**62 elements": lambda: _core.empty([2**31, 2**31]),
    "CVE-2021-41198 reshape that overflows": lambda: ops.reshape(ones(4), (2**32, 2**32)),
    "CVE-2022-23567 negative size": lambda: _core.empty([-1, 4]),
    "CVE-2022-23568 shape of 40 axes": lambda: _core.empty([2] * 70),
    "dilation of 2**62": lambda: _core.conv2d_forward(
        ones(1, 1, 8, 8), ones(1, 1, 3, 3), None, [1, 1], [0, 0, 0, 0], [2**62, 2**62], 1
    ),
    # what is silently converted or cut elsewhere
    "pybind11-338 strings as numbers": lambda: ops.linear(np.array([["1", "2"]]), ones(1, 2)),
    "pybind11-338 complex numbers": lambda: ops.linear(np.array([[1j, 2]]), ones(1, 2)),
    "coreforecast-143 objects": lambda: ops.linear(np.array([[None, 2]]), ones(1, 2)),
    "pybind11-2455 float64 at the binding": lambda: _core.gemm(np.ones((1, 2, 2)), ones(1, 2, 2)),
    # indices
    "class beyond the last": lambda: ops.cross_entropy(ones(2, 3), np.array([0, 3])),
    "class of -1": lambda: ops.cross_entropy(ones(2, 3), np.array([0, -1])),
    "class of -2**63": lambda: ops.cross_entropy(ones(2, 3), np.array([0, -(2**63)])),
    "class of 2**32": lambda: ops.cross_entropy(ones(2, 3), np.array([0, 2**32])),
    "classes as floats": lambda: ops.cross_entropy(ones(2, 3), np.array([0.0, 1.5])),
    "no classes": lambda: ops.cross_entropy(ones(2, 0), np.array([0, 0])),
    "index beyond the array": lambda: ops.index(ones(3), [2**40]),
    "softmax over an axis that is not there": lambda: ops.softmax(ones(3), dim=2**40),
    # pooling and tables
    "CVE-2021-29579 index of another shape": lambda: _core.maxpool2d_backward(
        image(1, 1, 2, 2), np.zeros((1, 1, 1, 1), np.uint8), [1, 1, 4, 4], [2, 2], [2, 2], [0, 0], [1, 1], False
    ),
    "CVE-2021-37674 input of size zero": lambda: _core.maxpool2d_backward(
        image(1, 1, 2, 2), np.zeros((1, 2, 2, 1), np.uint8), [1, 1, 0, 0], [2, 2], [2, 2], [0, 0], [1, 1], False
    ),
    "CVE-2023-25664 negative input of the average": lambda: _core.avgpool2d_backward(
        image(1, 1, 2, 2), [1, 1, -4, 4], [2, 2], [2, 2], [0, 0], False, True, 0
    ),
    "CVE-2021-29577 gradient of another shape": lambda: _core.avgpool2d_backward(
        image(1, 1, 3, 3), [1, 1, 4, 4], [2, 2], [2, 2], [0, 0], False, True, 0
    ),
    "TFSA-2021-199 window of size zero": lambda: ops.maxpool2d(ones(1, 1, 4, 4), 0),
    "CVE-2025-2953 stride of zero": lambda: ops.maxpool2d(ones(1, 1, 4, 4), 2, stride=0),
    "padding larger than the window": lambda: ops.maxpool2d(ones(1, 1, 4, 4), 2, padding=2**31 - 1),
    "output of negative size": lambda: ops.adaptive_avgpool2d(ones(1, 1, 4, 4), -1),
    "output of 2**62": lambda: ops.adaptive_avgpool2d(ones(1, 1, 4, 4), 2**62),
    "row beyond the table": lambda: ops.embedding(np.array([5]), ones(5, 2)),
    "row of -1": lambda: ops.embedding(np.array([-1]), ones(5, 2)),
    "row of -2**63": lambda: ops.embedding(np.array([-(2**63)]), ones(5, 2)),
    "table without rows": lambda: ops.embedding(np.array([0]), ones(0, 2)),
    "row beyond the table, gradient": lambda: _core.embedding_backward(np.array([9]), ones(1, 2), 5, -1),
    # sequences of labels
    "CVE-2021-29613 label beyond the classes": lambda: ops.ctc_loss(ones(4, 2, 3), [[1, 3], [1, 1]], [4, 4], [2, 1]),
    "CVE-2021-29613 no labels but a length": lambda: ops.ctc_loss(ones(4, 1, 3), np.zeros((1, 0), int), [4], [1]),
    "length beyond the frames": lambda: ops.ctc_loss(ones(4, 1, 3), [[1]], [2**62], [1]),
    "label of -2**63": lambda: ops.ctc_loss(ones(4, 1, 3), [[-(2**63)]], [4], [1]),
    "lengths that overflow": lambda: ops.ctc_loss(ones(4, 2, 3), [1, 1], [4, 4], [2**63 - 1, 3]),
    "lengths beyond the frames, decoded": lambda: ops.ctc_beam_decode(ones(4, 1, 3), [5]),
    "beam without end": lambda: ops.ctc_beam_decode(ones(4, 1, 3), beam_width=2**62),
    "tag beyond the last": lambda: ops.crf_loss(ones(2, 1, 3), [[0], [3]], ones(3, 3), ones(3), ones(3)),
    "tag of -2**63": lambda: ops.crf_loss(ones(1, 1, 3), [[-(2**63)]], ones(3, 3), ones(3), ones(3)),
    "chain of no steps": lambda: ops.crf_decode(ones(2, 1, 3), ones(3, 3), ones(3), ones(3), [0]),
    "chain of 2**62 steps": lambda: ops.crf_decode(ones(2, 1, 3), ones(3, 3), ones(3), ones(3), [2**62]),
    "transitions of fewer tags": lambda: ops.crf_decode(ones(2, 1, 3), ones(2, 2), ones(3), ones(3)),
    "threads without end": lambda: _core.set_num_threads(2**31 - 1),
}

ANSWERS = {
    "TFLite-47525 padding larger than the image": lambda: ops.conv2d(ones(1, 1, 1, 1), ones(1, 1, 3, 3), padding=100),
    "stride larger than the image": lambda: ops.conv2d(ones(1, 1, 8, 8), ones(1, 1, 3, 3), stride=2**31 - 1),
    "CVE-2025-2953 strides of zero": lambda: ops.conv2d(
        np.broadcast_to(np.float32(1), (1, 1, 8, 8)), np.broadcast_to(np.float32(1), (1, 1, 3, 3))
    ),
    "empty batch": lambda: ops.conv2d(ones(0, 1, 8, 8), ones(1, 1, 3, 3)),
    "no channels": lambda: ops.conv2d(ones(1, 0, 8, 8), ones(2, 0, 3, 3)),
    "empty batch of a sequence": _lstm(x=(5, 0, 3), h=(1, 0, 4), c=(1, 0, 4)),
    "input of width zero": _gru(x=(5, 2, 0), ih=(12, 0)),
    "empty batch of a loss": lambda: ops.cross_entropy(ones(0, 3), np.zeros(0, np.int64), reduction="sum"),
    "class that is ignored": lambda: ops.cross_entropy(ones(2, 3), np.array([0, -100])),
    "CVE-2021-29579 index beyond the window": lambda: _core.maxpool2d_backward(
        image(1, 1, 2, 2), np.full((1, 2, 2, 1), 255, np.uint8), [1, 1, 4, 4], [2, 2], [2, 2], [0, 0], [1, 1], False
    ),
    "no rows from a table without rows": lambda: ops.embedding(np.zeros(0, np.int64), ones(0, 2)),
    "softmax of nothing": lambda: ops.softmax(ones(0, 3), dim=0),
}


@pytest.mark.parametrize("name", RAISES)
def test_raises(name):
    _check(RAISES[name], must_raise=True)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers(name):
    ANSWERS[name]()
    _check(ANSWERS[name], must_raise=False)


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize("option", ["stride", "padding", "dilation", "groups"])
def test_huge_options(option, size):
    """Without memory or time: an error, or for a stride, which may be as large as it likes, the first window."""
    x, w = fnn.Tensor(ones(2, 2, 5, 5), requires_grad=True), fnn.Tensor(ones(2, 2, 3, 3), requires_grad=True)

    def call():
        y = ops.conv2d(x, w, **{option: size})
        y.backward(ones(*y.shape))

    _check(call, must_raise=option != "stride")


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("padding", [0, 1])
def test_max_of_nothing_but(value, padding):
    """pytorch-1465, pytorch-40131, TF-125965: no value is larger, and the index stays at -1, before the image."""
    x = fnn.Tensor(np.full((2, 3, 4, 4), value), requires_grad=True)
    y = ops.maxpool2d(x, 2, padding=padding)
    assert np.array_equal(y.numpy(), np.full(y.shape, value, np.float32), equal_nan=True)
    y.backward(ones(*y.shape))
    assert x.grad.sum() == y.size


def test_a_stride_beyond_the_image_still_has_gradients():
    """Loops over the phases of a stride must end: 2**62 of them would not."""
    x, w = fnn.Tensor(ones(1, 1, 4, 4), requires_grad=True), ones(2, 1, 2, 2)
    ops.conv2d(x, w, stride=2**31 - 1).backward(ones(1, 2, 1, 1))
    expected = np.zeros((4, 4))
    expected[:2, :2] = 2
    assert np.array_equal(x.grad[0, 0], expected)


def test_float16_overflow_and_float64_beyond_float32():
    """pybind11-338: 1e40 becomes inf on conversion, as NumPy says it does, and nothing else changes."""
    with np.errstate(over="ignore"):
        y = ops.linear(np.array([[1e40, 1.0]]), ones(1, 2))
    assert np.isinf(y).all()


def test_layers_refuse_at_construction():
    for size in (0, -1, *HUGE[1:], 1.5, "3", None, True):
        with pytest.raises((TypeError, ValueError)):
            nn.Conv2d(size, 4, 3)
        with pytest.raises((TypeError, ValueError)):
            nn.Linear(size, 4)

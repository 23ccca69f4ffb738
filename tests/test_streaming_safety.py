"""Streams allocate nothing per step, share packed weights, keep threads apart, and say what is wrong."""

import itertools
import resource
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from sanitizer import SANITIZED
from streams import KINDS, PLAIN, TEAM, draw, steps, whole

import fastnn as fnn
from fastnn import _core, nn


@pytest.mark.parametrize("hidden", [20, TEAM])
@pytest.mark.parametrize("kind", PLAIN)
def test_a_step_into_an_array_allocates_nothing(rng, kind, hidden):
    x = draw(rng, hidden)
    stream, out = PLAIN[kind](hidden, hidden, 2).stream(), np.empty(hidden, np.float32)

    def work(count):
        for _ in itertools.repeat(None, count):
            stream.step(x, out)

    work(20)
    blocks, faults = _core.memory_stats(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work(500)
    if not SANITIZED:  # it gives back freed blocks late: every new array for an answer is a new place
        assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults < 10
    assert _core.memory_stats() == blocks
    tracemalloc.start()
    try:
        work(20)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        work(200)
        assert tracemalloc.get_traced_memory()[1] - before < 512  # the frames of Python's calls
    finally:
        tracemalloc.stop()


def test_many_streams_share_the_packed_weights():
    in_use = lambda: _core.memory_stats()["in_use_bytes"]  # noqa: E731
    before = in_use()
    layer = nn.LSTM(64, 128, 2)
    weights = sum(p.nbytes for p in (q.numpy() for q in layer.parameters()))
    first = layer.stream()
    packed = in_use() - before
    assert packed >= weights
    streams = [first, *(layer.stream() for _ in range(100)), *(first.copy() for _ in range(100))]
    state = 4 * 6 * 128
    assert in_use() - before <= packed + 200 * 1.3 * state
    del layer  # streams keep the packed weights
    for stream in streams:
        stream.step(np.zeros(64, np.float32))
    del streams, first, stream
    assert in_use() == before


def test_reference_counts(rng):
    stream, x, out = nn.GRU(5, 6).stream(), draw(rng, 5), np.empty(6, np.float32)
    y = stream.step(x)
    counts = [sys.getrefcount(a) for a in (x, y, out, None)]
    for _ in range(2000):
        stream.step(x)
        stream.step(x, out)
        stream.step([0.0] * 5)
    after = [sys.getrefcount(a) for a in (x, y, out, None)]
    assert after[:3] == counts[:3]
    assert abs(after[3] - counts[3]) < 1000


@pytest.mark.parametrize("hidden", [20, TEAM])
@pytest.mark.parametrize("team", [1, 2])
@pytest.mark.parametrize("kind", ["lstm", "lstm_options", "gru_options"])
def test_streams_in_threads(rng, kind, hidden, team):
    fnn.set_num_threads(team)
    layer, x = KINDS[kind](8, hidden, 2), draw(rng, 4, 30, 8)
    results = [None] * 4

    def work(i):
        results[i] = steps(layer.stream(), x[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ours, x_i in zip(results, x, strict=True):
        assert np.array_equal(ours, whole(layer, x_i)[0])


@pytest.mark.parametrize("kind", ["lstm", "lstm_options", "gru_options"])
def test_one_stream_in_two_threads_is_an_error(rng, kind):
    """What a stream holds is never read or written by two threads at once."""
    stream, x, stop = KINDS[kind](TEAM, TEAM).stream(), draw(rng, TEAM), threading.Event()
    raised = []

    def work():
        while not stop.is_set():
            for use in (lambda: stream.step(x), lambda: stream.state, stream.copy, stream.reset):
                try:
                    use()
                except RuntimeError as error:
                    raised.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 20
    while len(raised) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert "another thread is stepping this stream" in raised[0]
    stream.step(x)


def test_bidirectional_layers_are_refused():
    for kind in KINDS.values():
        layer = kind(3, 4, bidirectional=True)
        with pytest.raises(ValueError, match=rf"{type(layer).__name__}\.stream: the layer is bidirectional"):
            layer.stream()


@pytest.mark.parametrize("kind", ["lstm", "lstm_options"])
def test_errors(kind):
    stream = KINDS[kind](3, 4, 2).stream()
    for x in (np.zeros(4), np.zeros(4, np.float32), [0.0] * 4):
        with pytest.raises(ValueError, match=r"Stream\.step: x has shape \(4,\), expected \(3,\)"):
            stream.step(x)
    for x in (np.zeros((1, 3)), np.zeros((1, 3), np.float32), np.float32(0), np.zeros((3, 0))):
        with pytest.raises(ValueError, match=r"Stream\.step: x has shape \(.*, expected \(3,\)"):
            stream.step(x)
    for x in (np.zeros(3, complex), "abc", None, [None] * 3):
        with pytest.raises(TypeError, match=r"Stream\.step: x has dtype"):
            stream.step(x)
    x = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match=r"Stream\.step: out has shape \(3,\), expected \(4,\)"):
        stream.step(x, x)
    for out in (np.zeros(4), [0.0] * 4):
        with pytest.raises(TypeError, match=r"Stream\.step: out must be a float32 array"):
            stream.step(x, out)
    with pytest.raises(TypeError, match=r"Stream\.step: out must be C-contiguous"):
        stream.step(x, np.zeros(8, np.float32)[::2])
    frozen = np.zeros(4, np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match=r"Stream\.step: out is read-only"):
        stream.step(x, frozen)
    with pytest.raises(TypeError, match=r"Stream\.state: the state is ndarray, expected a pair \(h, c\)"):
        stream.state = np.zeros((2, 4))
    with pytest.raises(ValueError, match=r"Stream\.state: c has shape \(1, 4\), expected \(2, 4\)"):
        stream.state = np.zeros((2, 4)), np.zeros((1, 4))
    with pytest.raises(ValueError, match=r"Stream\.state: h has shape \(2, 1, 4\), expected \(2, 4\)"):
        stream.state = np.zeros((2, 1, 4)), np.zeros((2, 4))


@pytest.mark.parametrize("kind", ["gru", "gru_options"])
def test_errors_of_a_state_of_one_part(kind):
    stream = KINDS[kind](3, 4).stream()
    with pytest.raises(TypeError, match=r"Stream\.state: h has dtype complex128"):
        stream.state = np.zeros((1, 4), complex)
    with pytest.raises(TypeError, match=r"Stream\.state: the state is a tuple, expected one array h"):
        stream.state = (np.zeros(4),)
    with pytest.raises(ValueError, match=r"Stream\.state: h has shape \(4,\), expected \(1, 4\)"):
        stream.state = np.zeros(4)


@pytest.mark.parametrize("kind", ["lstm", "lstm_options"])
def test_errors_leave_the_state(rng, kind):
    layer, x = KINDS[kind](3, 4), draw(rng, 5, 3)
    stream = layer.stream()
    expected = steps(layer.stream(), x)
    for x_t, y_t in zip(x, expected, strict=True):
        with pytest.raises(ValueError, match="out has shape"):
            stream.step(x_t, x_t.copy())
        with pytest.raises(ValueError, match="c has shape"):
            stream.state = np.ones((1, 4)), np.ones((2, 4))
        assert np.array_equal(stream.step(x_t), y_t)


def test_bindings_check_what_they_are_given():
    def weights(h=4, inputs=3, bias=16, **changed):
        arrays = {"ih": (4 * h, inputs), "hh": (4 * h, h), "b_ih": (bias,), "b_hh": (bias,)} | changed
        return tuple(shape and np.ones(shape, np.float32) for shape in arrays.values())

    make = _core.RecurrentStream
    make("lstm", [weights(), weights(inputs=4)])
    with pytest.raises(ValueError, match="there is no cell 'mgu'"):
        make("mgu", [weights()])
    with pytest.raises(ValueError, match="there are no layers"):
        make("lstm", [])
    with pytest.raises(ValueError, match=r"weight_ih has shape \(16, 3\), expected \(12, 3\)"):
        make("gru", [weights()])
    with pytest.raises(ValueError, match="the layers do not fit each other"):
        make("lstm", [weights(), weights()])
    with pytest.raises(ValueError, match="only one of the two biases is given"):
        make("lstm", [weights(b_hh=None)])
    with pytest.raises(ValueError, match=r"bias_ih has shape \(15,\), expected \(16,\)"):
        make("lstm", [weights(bias=15)])
    with pytest.raises(ValueError, match="at least 1"):
        make("lstm", [weights(h=0, bias=0)])
    with pytest.raises(TypeError, match="incompatible"):
        make("lstm", [tuple(a.astype(np.int8) for a in weights())])

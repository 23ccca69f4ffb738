"""How far the nonlinearities of recurrent layers are from exact ones."""

import numpy as np

from fastnn import ops


def ulps(a, exact):
    """The largest |a - exact| in units of the last place of float32."""
    return np.max(np.abs(a - exact) / np.spacing(np.abs(exact).astype(np.float32)))


def test_accuracy_of_the_nonlinearities(isa):
    """Within the bounds of math.h, where neither x nor the result is subnormal: those count as zero here."""
    least = float(np.finfo(np.float32).tiny)
    x = np.concatenate(
        [np.linspace(-87.3, 110, 40001), np.geomspace(least, 20, 20001), -np.geomspace(least, 20, 20001)]
    )
    x = x.astype(np.float32)
    one, zero = np.ones((1, 1)), np.zeros((1, 1))
    tanh = ops.rnn(x[None, :, None], None, one, zero)[0].ravel()
    assert ulps(tanh, np.tanh(x.astype(np.float64))) <= 2.7
    # With g = 0 and c = 1 the next c is the forget gate.
    only_f = np.array([[0.0], [1.0], [0.0], [0.0]])
    sigmoid = ops.lstm_cell(x[:, None], np.zeros((x.size, 1)), np.ones((x.size, 1)), only_f, 0 * only_f)[1].ravel()
    assert ulps(sigmoid, 1 / (1 + np.exp(-x.astype(np.float64)))) <= 2.5

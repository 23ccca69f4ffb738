"""no_grad records nothing, in its thread."""

import threading

import pytest
from test_tensor import leaf

import fastnn as fnn


def test_no_grad():
    x = leaf(1.0)
    off = fnn.no_grad()
    with off:
        assert not (x * 2).requires_grad
        with off, fnn.no_grad():
            assert not fnn.is_grad_enabled()
        assert not fnn.is_grad_enabled()
    assert fnn.is_grad_enabled()

    @fnn.no_grad()
    def double(x):
        """Doubles."""
        return x * 2

    assert not double(x).requires_grad
    assert double.__doc__ == "Doubles."
    with pytest.raises(KeyError), fnn.no_grad():
        raise KeyError
    assert (x * 2).requires_grad


def test_no_grad_is_of_one_thread():
    seen = []
    with fnn.no_grad():
        thread = threading.Thread(target=lambda: seen.append(fnn.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]

import numpy as np

from reference.recurrent import layer, sigmoid


def step(x, states, w_ih, w_hh, b_ih, b_hh):
    h, c = states
    i, f, g, o = np.split(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm(x, h0, c0, w_ih, w_hh, b_ih=None, b_hh=None, w_ih_r=None, w_hh_r=None, b_ih_r=None, b_hh_r=None):
    return layer(step, x, [h0, c0], (w_ih, w_hh, b_ih, b_hh), (w_ih_r, w_hh_r, b_ih_r, b_hh_r))

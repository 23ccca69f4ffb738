import numpy as np

from reference.recurrent import layer, sigmoid


def step(x, states, w_ih, w_hh, b_ih, b_hh):
    (h,) = states
    xr, xz, xn = np.split(x @ w_ih.T + b_ih, 3, axis=-1)
    hr, hz, hn = np.split(h @ w_hh.T + b_hh, 3, axis=-1)
    r, z = sigmoid(xr + hr), sigmoid(xz + hz)
    return ((1 - z) * np.tanh(xn + r * hn) + z * h,)


def gru(x, h0, w_ih, w_hh, b_ih=None, b_hh=None, w_ih_r=None, w_hh_r=None, b_ih_r=None, b_hh_r=None):
    return layer(step, x, [h0], (w_ih, w_hh, b_ih, b_hh), (w_ih_r, w_hh_r, b_ih_r, b_hh_r))

import numpy as np

from reference.recurrent import layer


def rnn(
    x, h0, w_ih, w_hh, b_ih=None, b_hh=None, w_ih_r=None, w_hh_r=None, b_ih_r=None, b_hh_r=None, nonlinearity="tanh"
):
    def step(x, states, w_ih, w_hh, b_ih, b_hh):
        z = x @ w_ih.T + b_ih + states[0] @ w_hh.T + b_hh
        return (np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0),)

    return layer(step, x, [h0], (w_ih, w_hh, b_ih, b_hh), (w_ih_r, w_hh_r, b_ih_r, b_hh_r))

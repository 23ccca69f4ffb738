"""Files that earlier versions wrote are read as ever."""

from __future__ import annotations

import base64
import zlib

import numpy as np
from models import assert_same_output, assert_same_state

import fastnn as fnn
from fastnn import nn

# Format 1, of fastnn 0.1.0: statistics after one batch, and one ReLU in two places.
FORMAT_1 = """
eNqdU12K2zAQTqEHKXpWgyU7tpOH3dKHQiH0oaVPcTBjW0pMbSWV5G1DCPQAvUD3TNkD9DYdOXGaP3bZFQgzP98332jGP1/32rMmaVoLCwVYSF
MyWhMJxipFRmSdEND5vLQit40WCQYTgnZVaKHQmkwSoha6TghtU2dNLZQ1uzyQslQOY3UjaELE0gWYeOsN0KoXLrVB6MjrM3Sopk6lAFfH5XF0
WQ35t1Q3SpVqlhoLLbWj22C0gpXQaCfkPdh8/gl1sCIhmylFVZDbq6JKtawgd6okVOaM57MYf+0IqtLsGc769a7yZiWY/62W6ryVRWOPXey08B
gfCnRXmr1c+fTE+0V8b5CghOqJGEYkPh9YJ80NZ78O+95WLQLH1Pd2yWYOfBC2Xl8GEcT+MGKQ53Eo4iITQVjIMOecs2KYh1kUAWBaPPQy7vtD
lhWQDQeMySjyXa8JuRPalAt1UgYLtbvVd4uRuQkLk7YbIQq3pIVdLQXu6McwINQpctZkSkm7xwspjbAGPR6Np0jl5tn3+m5Ox+gPPj9Cs0t4TB
k/wv8Q5WxuH2Gg/JKDccq9adfP4xKuwLlHeXyAd79DLUA9jyamfnhBcwf6WSx+SIPgwPLUc1whCAI6wBfdvHnV686v293tveu+D9vxzcN2i/f3
7f2fv4f4P5Kpg1c=
"""


def test_format_1(tmp_path):
    path = tmp_path / "old"
    path.write_bytes(zlib.decompress(base64.b64decode(FORMAT_1)))
    model = fnn.load(path)
    relu = nn.ReLU()
    want = nn.Sequential({"norm": nn.BatchNorm1d(2), "act": relu, "list": nn.Sequential(nn.Linear(2, 1), relu)})
    for parameter in want.parameters():
        parameter.data[...] = np.arange(1, parameter.size + 1).reshape(parameter.shape)
    x = np.float32([[1, 2], [3, 6]])
    want(x)
    assert repr(model) == repr(want)
    assert_same_state(model.state_dict(), want.state_dict())
    assert_same_state(fnn.load_state(path), dict(sorted(want.state_dict().items())))
    assert fnn.load_metadata(path) == {"by": "0.1.0"}
    assert_same_output(model(x), want.eval()(x))

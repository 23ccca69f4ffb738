import numpy as np
import pytest

import fastnn as fnn
from fastnn import _core, nn


class Shared(nn.Module):
    def __init__(self):
        self.embedding, self.lstm, self.linear = (
            nn.Embedding(11, 6),
            nn.LSTM(6, 6, 2, bidirectional=True),
            nn.Linear(12, 6),
        )

    def forward(self, ids):
        x = self.embedding(ids)
        for _ in range(2):
            x = self.linear(self.lstm(x)[0])
        return x


def cnn():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.Sequential(nn.Conv2d(16, 32, 3, padding="same"), nn.ReLU(), nn.Dropout(0.5)),
        nn.Conv2d(32, 32, 5, stride=2, groups=32),
        nn.ConvTranspose2d(32, 8, 4, stride=2, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def test_layers_shapes_algorithms_and_work():
    costs = fnn.explain(cnn(), (2, 3, 16, 16))
    assert [cost.name for cost in costs] == ["0", "1", "2.0", "2.1", "2.2", "3", "4", "5", "6", "7"]
    by_name = {cost.name: cost for cost in costs}
    assert by_name["2.0"].input == (2, 16, 16, 16)
    assert by_name["2.0"].output == (2, 32, 16, 16)
    assert [c.flops for c in costs] == [
        *(2 * 2 * 16 * 256 * 3 * 9, 0, 2 * 2 * 32 * 256 * 16 * 9, 0, 0),
        *(2 * 2 * 32 * 36 * 25, 2 * 2 * 32 * 36 * 8 * 16, 0, 0, 2 * 2 * 8 * 10),
    ]
    same = _core.conv2d_algorithms((2, 16, 16, 16), (32, 16, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1)
    assert by_name["2.0"].algorithms == tuple(same) == ("Winograd F(4x4, 3x3)",) * 3
    assert by_name["3"].algorithms == ("depthwise",) * 3
    up = _core.conv2d_algorithms((2, 8, 12, 12), (32, 8, 4, 4), (2, 2), (1, 1, 1, 1), (1, 1), 1)
    assert by_name["4"].algorithms == (up[1], up[0], up[2])
    assert by_name["7"].algorithms == ("gemm",)
    assert by_name["1"].algorithms == ()


def test_numbers_follow_from_each_other():
    for cost in fnn.explain(cnn(), (2, 3, 16, 16)):
        assert cost.measured > 0
        assert cost.predicted > 0
        assert cost.measured_gflops == pytest.approx(cost.flops / cost.measured / 1e3)
        if cost.limit == "FMA":
            assert cost.of_peak == pytest.approx(cost.measured_gflops * 1e9 / cost.peak)
            quarter = 4 if "Winograd" in cost.algorithms[0] else 1
            assert cost.predicted >= cost.flops / quarter / cost.peak * 1e6 * 0.999
        else:
            assert cost.of_peak == pytest.approx(cost.predicted / cost.measured)


def test_the_switch_shows():
    model = nn.Conv2d(16, 16, 3, padding=1)
    with fnn.conv_algorithm("direct"):
        assert fnn.explain(model, (1, 16, 8, 8))[0].algorithms == ("direct",) * 3
    own = nn.Conv2d(16, 16, 3, padding=1, algorithm="direct")
    assert fnn.explain(own, (1, 16, 8, 8))[0].algorithms == ("direct",) * 3
    assert "Winograd" in fnn.explain(model, (1, 16, 8, 8))[0].algorithms[0]


def test_layers_used_twice_token_ids_and_recurrent_layers():
    costs = fnn.explain(Shared(), (5, 3))
    assert [cost.layer for cost in costs] == ["Embedding", "LSTM", "Linear", "LSTM", "Linear"]
    lstm = costs[1]
    weights = 2 * (24 * 6 + 24 * 6) + 2 * (24 * 12 + 24 * 6)  # two directions of each layer
    assert lstm.flops == 2 * 5 * 3 * weights
    assert lstm.output == (5, 3, 12)


def test_conv1d():
    (cost,) = fnn.explain(nn.Conv1d(4, 8, 3, padding=2, dilation=2), (2, 4, 20))
    assert cost.flops == 2 * 2 * 8 * 20 * 4 * 3
    assert cost.algorithms == tuple(
        _core.conv2d_algorithms((2, 4, 1, 20), (8, 4, 1, 3), (1, 1), (0, 0, 2, 2), (1, 2), 1)
    )


def test_the_model_is_left_as_it_was():
    model = cnn()
    model[1].eval()
    before = {name: array.copy() for name, array in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    fnn.manual_seed(3)
    draws = np.random.get_state()[2]  # noqa: NPY002
    fnn.explain(model, (2, 3, 16, 16))
    assert np.random.get_state()[2] == draws  # noqa: NPY002
    assert [module.training for module in model.modules()] == modes
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    assert not any("forward" in vars(module) for module in model.modules())
    assert all(p.grad is None for p in model.parameters())
    noise = nn.Dropout(0.5)(np.ones(100))
    fnn.manual_seed(3)
    assert np.array_equal(noise, nn.Dropout(0.5)(np.ones(100)))


def test_table():
    lines = str(fnn.explain(cnn(), (2, 3, 16, 16))).splitlines()
    assert lines[0].split()[:3] == ["layer", "input", "output"]
    assert lines[3].startswith("2.0 (Conv2d)")
    assert "Winograd F(4x4, 3x3)" in lines[3]
    assert len(lines) == 11


def test_errors():
    with pytest.raises(TypeError, match="explain: model is function, expected a Module"):
        fnn.explain(cnn, (1, 3, 8, 8))
    for shape in ((), (1, 0, 8), (1, 2.5), "12", 3, (True, 3)):
        with pytest.raises(ValueError, match="explain: input_shape is"):
            fnn.explain(cnn(), shape)
    model = cnn()
    with pytest.raises(ValueError, match="conv2d"):
        fnn.explain(model, (1, 4, 8, 8))
    assert model.training
    assert not any("forward" in vars(module) for module in model.modules())

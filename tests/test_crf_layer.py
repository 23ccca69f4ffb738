import numpy as np
import pytest
from test_crf import example

import fastnn as fnn
from fastnn import nn, ops


def test_the_op_with_its_parameters(rng):
    x, tags, *_, lengths = example(rng, "ragged")
    crf = nn.CRF(5)
    parameters = (crf.transitions, crf.start_transitions, crf.end_transitions)
    want = ops.crf_loss(x, tags, *parameters, lengths)
    mask = np.arange(7)[:, None] < lengths
    turned = nn.CRF(5, batch_first=True)
    turned.load_state_dict(crf.state_dict())
    batch_first = (x.transpose(1, 0, 2), tags.T)
    for loss in (
        crf(x, tags, lengths),
        crf(fnn.Tensor(x), tags, mask=mask),
        turned(*batch_first, lengths),
        turned(fnn.Tensor(batch_first[0]), batch_first[1], mask=mask.T.astype(np.uint8)),
    ):
        assert loss.item() == want.item()
    assert crf(x, tags, lengths, reduction="none").shape == (5,)
    best = ops.crf_decode(x, *parameters, lengths)[0]
    for found in (
        crf.decode(x, lengths),
        crf.decode(fnn.Tensor(x), mask=mask),
        turned.decode(batch_first[0], lengths),
        turned.decode(batch_first[0], mask=mask.T),
    ):
        assert all(np.array_equal(a, b) for a, b in zip(found, best, strict=True))


def test_names_and_initial_weights():
    crf = nn.CRF(40)
    assert {name: p.shape for name, p in crf.named_parameters()} == {
        "start_transitions": (40,),
        "end_transitions": (40,),
        "transitions": (40, 40),
    }
    assert 0.09 < np.abs(crf.transitions.data).max() <= 0.1
    assert repr(nn.CRF(3)) == "CRF(3)"
    assert repr(nn.CRF(3, batch_first=True)) == "CRF(3, batch_first=True)"


def test_learns_what_emissions_cannot_say(rng):
    """Tags alternate in twos; the input shows only the first: the transitions carry it on."""
    tags = (np.arange(12)[:, None] // 2 + rng.integers(0, 2, 32)) % 2
    x = np.zeros((12, 32, 4), np.float32)
    x[0, np.arange(32), tags[0]] = 1
    x[1:, :, 2] = np.arange(1, 12)[:, None] % 2
    linear, crf = nn.Linear(4, 4), nn.CRF(4)
    tags4 = 2 * tags + np.arange(12)[:, None] % 2  # tag and place in the pair
    optimizer = fnn.optim.Adam([*linear.parameters(), *crf.parameters()], lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = crf(linear(x), tags4)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert np.array_equal(np.array(crf.decode(linear(x))).T, tags4)


def test_errors_of_the_op(rng):
    x, tags, pairs, start, end, lengths = example(rng, "ragged")
    shared = (pairs, start, end)
    with pytest.raises(ValueError, match=r"crf_loss: emissions has shape \(7, 5\), expected 3 dimensions \(T, N, K\)"):
        ops.crf_loss(x[:, :, 0], tags, *shared)
    with pytest.raises(ValueError, match=r"crf_loss: emissions has shape \(0, 5, 5\), expected at least one step"):
        ops.crf_loss(x[:0], tags[:0], *shared)
    with pytest.raises(ValueError, match=r"crf_loss: emissions has shape \(7, 5, 5\) but transitions has \(5, 4\)"):
        ops.crf_loss(x, tags, pairs[:, :4], start, end)
    with pytest.raises(ValueError, match=r"crf_decode: emissions has shape \(7, 5, 5\) but start has \(4,\), expec"):
        ops.crf_decode(x, pairs, start[:4], end)
    with pytest.raises(ValueError, match=r"crf_loss: emissions has shape .* but end has \(1, 5\), expected \(5,\)"):
        ops.crf_loss(x, tags, pairs, start, end[None])
    with pytest.raises(ValueError, match=r"but tags has \(6, 5\), expected \(7, 5\)"):
        ops.crf_loss(x, tags[:6], *shared)
    with pytest.raises(TypeError, match="crf_loss: tags has dtype float64, expected integers"):
        ops.crf_loss(x, tags.astype(float), *shared)
    with pytest.raises(IndexError, match="crf_loss: tag 3 of sample 1 is 5, expected 0 to 4"):
        ops.crf_loss(x, np.where(np.arange(35).reshape(7, 5) == 16, 5, 0), *shared)
    with pytest.raises(IndexError, match="crf_loss: tag 1 of sample 1 is -99"):
        ops.crf_loss(x, tags, *shared)  # all steps count
    with pytest.raises(ValueError, match=r"crf_loss: lengths\[2\] is 0, expected 1 to 7, the steps of emissions \(7, "):
        ops.crf_loss(x, tags, *shared, [7, 1, 0, 7, 2])
    with pytest.raises(ValueError, match=r"crf_decode: lengths\[0\] is 8, expected 1 to 7"):
        ops.crf_decode(x, *shared, [8, 1, 1, 7, 2])
    with pytest.raises(ValueError, match=r"but lengths has \(4,\), expected \(5,\)"):
        ops.crf_loss(x, tags, *shared, lengths[:4])
    with pytest.raises(TypeError, match="crf_loss: lengths has dtype float64"):
        ops.crf_loss(x, tags, *shared, lengths * 1.0)
    with pytest.raises(TypeError, match="crf_loss: transitions has dtype complex64"):
        ops.crf_loss(x, tags, pairs.astype(np.complex64), start, end, lengths)
    with pytest.raises(ValueError, match="crf_loss: reduction is 'token_mean'"):
        ops.crf_loss(x, tags, *shared, lengths, "token_mean")


def test_errors_of_the_layer(rng):
    x, tags, *_, lengths = example(rng, "ragged")
    crf, mask = nn.CRF(5), np.arange(7)[:, None] < lengths
    with pytest.raises(
        ValueError, match=r"CRF: emissions has shape \(7, 5, 4\), expected \(T, N, num_tags\), num_tags=5"
    ):
        crf(x[:, :, :4], tags)
    with pytest.raises(ValueError, match=r"CRF: emissions has shape \(7, 5\), expected \(N, T, num_tags\)"):
        nn.CRF(5, batch_first=True).decode(x[:, :, 0])
    with pytest.raises(
        ValueError, match=r"CRF: emissions has shape \(7, 5, 5\) but tags has \(5, 7\), expected \(7, 5\)"
    ):
        crf(x, tags.T)
    with pytest.raises(ValueError, match="CRF: give lengths or mask, not both"):
        crf(x, tags, lengths, mask)
    with pytest.raises(
        ValueError, match=r"CRF: emissions has shape \(7, 5, 5\) but mask has \(5, 7\), expected \(7, 5\)"
    ):
        crf(x, tags, mask=mask.T)
    with pytest.raises(ValueError, match="CRF: mask has a step that counts after one that does not"):
        crf(x, tags, mask=mask[::-1])
    with pytest.raises(TypeError, match="CRF: mask has dtype float64"):
        crf.decode(x, mask=mask * 1.0)
    with pytest.raises(ValueError, match=r"crf_loss: lengths\[0\] is 0"):
        crf(x, tags, mask=mask & False)
    with pytest.raises(ValueError, match="CRF: num_tags is 0"):
        nn.CRF(0)
    with pytest.raises(TypeError, match=r"CRF: num_tags is 2\.5"):
        nn.CRF(2.5)

"""Gradients through lengths=, lists of sequences and initial states, for every layer and option: those of each sequence
alone."""

import numpy as np
import pytest
from check import rel_error
from streams import LAYERS, draw, single_options

import fastnn as fnn
from fastnn import ops

LENGTHS = [3, 6, 1, 6, 4]
VARIANTS = [pytest.param(kind, options, id=f"{kind.__name__}-{options}") for kind, options in single_options()]


def leaf(array):
    return fnn.Tensor(array, requires_grad=True)


class Given:
    """A layer of two levels in both directions, sequences, states, and a random loss of everything that comes out."""

    def __init__(self, rng, kind, options, batch_first=False):
        self.layer = kind(3, 6, 2, bidirectional=True, batch_first=batch_first, **options).eval()
        self.sizes = [self.layer._state_size(part) for part in self.layer._parts]
        self.x = [draw(rng, n, 3) for n in LENGTHS]
        self.hx = [draw(rng, 4, len(LENGTHS), size) for size in self.sizes]
        self.dy = [draw(rng, n, 2 * self.sizes[0]) for n in LENGTHS]
        self.dh = [draw(rng, 4, len(LENGTHS), size) for size in self.sizes]

    def run(self, x, hx, lengths=None):
        """y and the last states, as a list."""
        y, last = self.layer(x, tuple(hx) if len(hx) > 1 else hx[0], lengths=lengths)
        return y, list(last) if isinstance(last, tuple) else [last]

    def weights(self):
        """Gradients of the parameters, which are then none."""
        found = {name: p.grad for name, p in self.layer.named_parameters()}
        self.layer.zero_grad()
        return found

    def alone(self):
        """(gradients of x, of hx, of the weights) of the sequences one after the other."""
        dx, dhx = [], [[] for _ in self.hx]
        for n, sequence in enumerate(self.x):
            x, hx = leaf(sequence), [leaf(h[:, n]) for h in self.hx]
            y, last = self.run(x, hx)
            loss(([y], [self.dy[n]]), (last, [d[:, n] for d in self.dh])).backward()
            dx.append(x.grad)
            for gradients, h in zip(dhx, hx, strict=True):
                gradients.append(h.grad)
        return dx, [np.stack(gradients, 1) for gradients in dhx], self.weights()


def loss(*pairs):
    return sum((ops.sum(y * d) for ys, ds in pairs for y, d in zip(ys, ds, strict=True)), start=0.0)


def assert_same(ours, alone):
    for one, other in zip(ours[0], alone[0], strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(ours[1], alone[1], strict=True):
        assert np.array_equal(one, other)
    assert set(ours[2]) == set(alone[2])
    for name, gradient in alone[2].items():
        assert gradient.any(), name
        assert rel_error(ours[2][name], gradient) < 1e-5, name


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_lists(rng, kind, options):
    given = Given(rng, kind, options)
    x, hx = [leaf(sequence) for sequence in given.x], [leaf(h) for h in given.hx]
    y, last = given.run(x, hx)
    loss((y, given.dy), (last, given.dh)).backward()
    assert_same(([t.grad for t in x], [t.grad for t in hx], given.weights()), given.alone())


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_lengths(rng, kind, options, batch_first):
    given = Given(rng, kind, options, batch_first)

    def padded(sequences):
        whole = np.full((len(LENGTHS), max(LENGTHS) + 1, sequences[0].shape[1]), 5, np.float32)
        for row, sequence in zip(whole, sequences, strict=True):
            row[: len(sequence)] = sequence
        return whole if batch_first else whole.transpose(1, 0, 2)

    x, hx = leaf(padded(given.x)), [leaf(h) for h in given.hx]
    y, last = given.run(x, hx, LENGTHS)
    loss(([y], [padded(given.dy)]), (last, given.dh)).backward()
    dx = x.grad if batch_first else x.grad.transpose(0, 1)
    for row, n in zip(dx, LENGTHS, strict=True):
        assert not row[n:].any()
    own = [row[:n] for row, n in zip(dx, LENGTHS, strict=True)]
    assert_same((own, [t.grad for t in hx], given.weights()), given.alone())


@pytest.mark.parametrize("kind", LAYERS)
def test_every_sequence_may_have_a_gradient_of_its_own(rng, kind):
    """A list of which only some are Tensors, and only some of them want a gradient."""
    given = Given(rng, kind, {})
    x = [given.x[0], leaf(given.x[1]), fnn.Tensor(given.x[2]), leaf(given.x[3]), given.x[4]]
    y, last = given.run(x, given.hx)
    loss((y, given.dy), (last, given.dh)).backward()
    alone = given.alone()
    for i in (1, 3):
        assert np.array_equal(x[i].grad, alone[0][i])
    assert x[2].grad is None

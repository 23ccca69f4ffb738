"""The contract of tape.py: what an op's backward returns is given away, so nobody else may have its memory."""

import itertools

import numpy as np
import pytest
from cases import CASES, LOOKS, Case, is_float, outputs_of
from reference.pointwise_loss import LOSSES

import fastnn as fnn
from fastnn import ops, tape, writes

ODD = (np.arange(12) % 2).astype(bool).reshape(3, 4)
WEIGHTS = ((16, 3), (16, 4), (16,), (16,))
MORE = {
    **{
        f"{name}_none": Case(getattr(ops, row.name), ((3, 4), (3, 4)), {**row.options, "reduction": "none"})
        for name, row in LOSSES.items()
    },
    "abs": Case(ops.abs, ((3, 4),)),
    "add": Case(ops.add, ((3, 4), (3, 4))),
    "add_to_itself": Case(lambda x: ops.add(x, x), ((3, 4),)),
    "add_number": Case(lambda x: ops.add(x, 1.0), ((3, 4),)),
    "add_row": Case(ops.add, ((3, 4), (4,))),
    "batchnorm_1d": Case(lambda x, w, b: ops.batchnorm(x, None, None, w, b, training=True), ((6, 3, 5), (3,), (3,))),
    "broadcast_to": Case(ops.broadcast_to, ((1, 4),), {"shape": (3, 4)}),
    "broadcast_to_itself": Case(ops.broadcast_to, ((3, 4),), {"shape": (3, 4)}),
    "cat": Case(lambda *parts: ops.cat(parts), ((3, 4), (2, 4))),
    "chunk": Case(ops.chunk, ((4, 3),), {"chunks": 2}),
    "clamp": Case(ops.clamp, ((3, 4),), {"min": -0.5, "max": 0.5}),
    "concatenate": Case(lambda x: ops.concatenate([x]), ((3, 4),)),
    "cross_entropy_images": Case(ops.cross_entropy, ((2, 3, 4, 5), (2, 3, 4, 5)), {"reduction": "none"}),
    "div": Case(ops.div, ((3, 4), (3, 4))),
    "dropout": Case(ops.dropout, ((3, 4),)),
    "dropout_all": Case(ops.dropout, ((3, 4),), {"p": 1.0}),
    "dropout_none": Case(ops.dropout, ((3, 4),), {"training": False}),
    "exp": Case(ops.exp, ((3, 4),)),
    "flatten": Case(ops.flatten, ((3, 4, 2),)),
    "flip": Case(ops.flip, ((3, 4),), {"dims": (0,)}),
    "index": Case(lambda x: ops.index(x, (slice(0, 2), 1)), ((3, 4),)),
    "index_all": Case(lambda x: ops.index(x, ...), ((3, 4),)),
    "index_mask": Case(lambda x: ops.index(x, ODD), ((3, 4),)),
    "index_twice": Case(lambda x: ops.index(x, [0, 0, 2]), ((3, 4),)),
    "linear_rows": Case(ops.linear, ((2, 3, 7), (4, 7))),
    "log": Case(lambda x: ops.log(ops.abs(x)), ((3, 4),)),
    "lstm_one_gradient": Case(lambda x: ops.lstm(x, None, None, *map(np.ones, WEIGHTS)), ((5, 2, 3),)),
    "lstm_variant_both_ways": Case(
        lambda x, *w: ops.lstm_variant(x, None, None, *w, *[None] * 8, *w, *[None] * 8), ((2, 3, 4), (24, 4), (24, 6))
    ),
    "matmul_vectors": Case(ops.matmul, ((4,), (4,))),
    "matmul_shared": Case(ops.matmul, ((3, 4, 5), (5, 6))),
    "max": Case(lambda x: ops.max(x), ((3, 4),)),
    "max_along": Case(lambda x: ops.max(x, 1)[0], ((3, 4),)),
    "maximum": Case(ops.maximum, ((3, 4), (3, 4))),
    "min": Case(lambda x: ops.min(x), ((3, 4),)),
    "minimum": Case(ops.minimum, ((3, 4), (3, 4))),
    "neg": Case(ops.neg, ((3, 4),)),
    "pad": Case(ops.pad, ((3, 4),), {"pad": (1, 0)}),
    "pad_nothing": Case(ops.pad, ((3, 4),), {"pad": (0, 0)}),
    "permute": Case(ops.permute, ((3, 4, 2),), {"dims": (2, 0, 1)}),
    "pow": Case(lambda x: ops.pow(x, 2), ((3, 4),)),
    "put_rows": Case(lambda x: ops.put_rows(x, [2, 0], 4), ((2, 4),)),
    "repeat": Case(ops.repeat, ((3, 4),), {"sizes": (1, 1)}),
    "reshape": Case(ops.reshape, ((3, 4),), {"shape": (4, 3)}),
    "softmax_first": Case(ops.softmax, ((3, 4, 5),), {"dim": 0}),
    "split": Case(ops.split, ((4, 3),), {"split_size": 2}),
    "sqrt": Case(lambda x: ops.sqrt(ops.abs(x)), ((3, 4),)),
    "squeeze": Case(ops.squeeze, ((3, 1, 4),)),
    "stack": Case(lambda *parts: ops.stack(parts), ((3, 4), (3, 4))),
    "std": Case(ops.std, ((3, 4),)),
    "sub": Case(ops.sub, ((3, 4), (3, 4))),
    "sum_all": Case(ops.sum, ((3, 4),)),
    "take_rows": Case(lambda x: ops.take_rows(x, [2, 0]), ((3, 4),)),
    "transpose": Case(ops.transpose, ((3, 4),), {"dim0": 0, "dim1": 1}),
    "unbind": Case(ops.unbind, ((3, 4),)),
    "unsqueeze": Case(ops.unsqueeze, ((3, 4),), {"dim": 0}),
    "where": Case(lambda x, y: ops.where(ODD, x, y), ((3, 4), (3, 4))),
}
ALL = {**CASES, **MORE}


def gradients(case):
    """(gradients, cotangents, everything else that lives) of one way back."""
    rng = np.random.default_rng(5)
    arrays = case.arrays(rng)
    tensors = [fnn.Tensor(a, requires_grad=True) if is_float(a) else a for a in arrays]
    outputs = outputs_of(case.op(*tensors, **case.options))
    node = outputs[0]._node
    dys = [rng.standard_normal(y.shape).astype(np.float32) for y in outputs if y._node is node]
    others = [t._array for t in tensors if isinstance(t, fnn.Tensor)] + [y._array for y in outputs]
    others += [edge._array for edge in node.edges if isinstance(edge, fnn.Tensor)]
    saved = writes.saved(node.backward)
    kept = [s for s in saved if any(np.shares_memory(s, other) for other in others)]
    with np.errstate(all="ignore"):
        found = [g for g, edge in zip(node.backward(*dys), node.edges, strict=False) if edge is not None]
    return found, dys, [*others, *kept]


def test_every_op_is_here():
    tested = {name.split("_")[0] for name in ALL} | set(ALL)
    assert {name for name in ops.__all__ if name not in tested and name.split("_")[0] not in tested} <= set(LOOKS)


@pytest.mark.parametrize("name", ALL)
def test_nobody_else_has_the_memory_of_a_gradient(name):
    found, dys, others = gradients(ALL[name])
    assert found
    given = [g for g in found if tape._given_away(g, dys)]
    for gradient in given:
        assert not any(np.shares_memory(gradient, other) for other in [*others, *dys])
        gradient += 1  # may be written
    for one, other in itertools.combinations(given, 2):
        assert not np.shares_memory(one, other)
    for gradient in found:
        if not any(gradient is g for g in given):  # copied, so only for a reason
            base = gradient.base
            part = isinstance(base, np.ndarray) and base.size != gradient.size
            assert part or not gradient.flags.writeable or any(np.shares_memory(gradient, dy) for dy in dys)


def test_what_is_not_given_away():
    dy = np.ones((3, 4), np.float32)
    new = np.ones((3, 4), np.float32)
    for gradient in (dy, dy[...], dy.T, dy[1:], np.broadcast_to(new[0], (3, 4)), new[0], new.view()[:2]):
        assert not tape._given_away(gradient, [None, dy])
    assert not tape._given_away(np.lib.stride_tricks.as_strided(dy, (12,), (4,)), [dy])
    for gradient in (new, new.T, new.reshape(12)):
        assert tape._given_away(gradient, [None, dy])


def test_leaves_get_arrays_of_their_own():
    """Of one gradient that goes to two leaves, and of the one that the user gave."""
    a, b = fnn.Tensor(np.zeros(3), requires_grad=True), fnn.Tensor(np.zeros(3), requires_grad=True)
    dy = np.ones(3, np.float32)
    ops.add(a, b).backward(dy)
    a.grad[0], dy[1] = 7, 8
    assert a.grad.tolist() == [7, 1, 1]
    assert b.grad.tolist() == [1, 1, 1]


def test_gradients_of_a_linear_layer_are_not_copied(monkeypatch):
    made = []
    original = tape.add_to_leaf
    monkeypatch.setattr(tape, "add_to_leaf", lambda leaf, g, given: (made.append(given), original(leaf, g, given)))
    layer = fnn.nn.Linear(4, 3)
    ops.sum(layer(np.ones((2, 4)))).backward()
    assert made == [True, True]

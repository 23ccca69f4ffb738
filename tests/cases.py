"""A small call of every op, for the tests of what must hold for all of them; test_op_records.py sees that none is
missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from check import weighted_sum
from reference.activation import FUNCTIONS
from reference.pointwise_loss import LOSSES

import fastnn as fnn
from fastnn import ops


@dataclass(frozen=True)
class Case:
    """op(*arrays, **options); a shape stands for normal floats of that shape, Indices for integers, Positive."""

    op: Callable[..., Any]
    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def arrays(self, rng: np.random.Generator) -> list[np.ndarray]:
        return [rng.standard_normal(i).astype(np.float32) if isinstance(i, tuple) else i.draw(rng) for i in self.inputs]


@dataclass(frozen=True)
class Indices:
    shape: tuple[int, ...]
    below: int
    first: int = 0

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(self.first, self.below, self.shape)


@dataclass(frozen=True)
class Positive:
    shape: tuple[int, ...]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(0.5, 2, self.shape).astype(np.float32)


EVEN = np.arange(12).reshape(3, 4) % 2 == 0


def _batchnorm(x: Any, weight: Any, bias: Any) -> Any:
    return ops.batchnorm(x, None, None, weight, bias, training=True)


def _batchnorm_fixed(x: Any, weight: Any, bias: Any) -> Any:
    mean, var = np.linspace(-1, 1, 5, dtype=np.float32), np.linspace(1, 2, 5, dtype=np.float32)
    return ops.batchnorm(x, mean, var, weight, bias)


CASES = {
    **{name: Case(getattr(ops, row.name), ((2, 3, 5, 4),), row.options) for name, row in FUNCTIONS.items()},
    **{name: Case(getattr(ops, row.name), ((4, 6), (4, 6)), row.options) for name, row in LOSSES.items()},
    "abs": Case(ops.abs, ((3, 4),)),
    "adaptive_avgpool1d": Case(ops.adaptive_avgpool1d, ((2, 3, 7),), {"output_size": 3}),
    "adaptive_avgpool2d": Case(ops.adaptive_avgpool2d, ((2, 3, 7, 6),), {"output_size": (3, 2)}),
    "add": Case(ops.add, ((3, 4), (4,))),
    "amax": Case(lambda x: ops.max(x, axis=1), ((3, 4),)),
    "amin": Case(lambda x: ops.min(x, axis=1), ((3, 4),)),
    "avgpool1d": Case(ops.avgpool1d, ((2, 3, 7),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "avgpool2d": Case(ops.avgpool2d, ((2, 3, 7, 6),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "batchnorm": Case(_batchnorm, ((4, 5, 3, 2), (5,), (5,))),
    "batchnorm_fixed": Case(_batchnorm_fixed, ((4, 5, 3), (5,), (5,))),
    "broadcast_to": Case(ops.broadcast_to, ((3, 1),), {"shape": (3, 4)}),
    "chunk": Case(ops.chunk, ((3, 4),), {"chunks": 2, "dim": 1}),
    "clamp": Case(ops.clamp, ((3, 4),), {"min": -0.5, "max": 0.5}),
    "clone": Case(ops.clone, ((3, 4),)),
    "concatenate": Case(lambda *parts: ops.concatenate(parts, 1), ((3, 4), (3, 2))),
    "conv1d": Case(ops.conv1d, ((2, 4, 9), (6, 2, 3), (6,)), {"padding": 1, "groups": 2}),
    "conv2d": Case(ops.conv2d, ((2, 3, 7, 6), (5, 3, 3, 3), (5,)), {"padding": 1, "stride": 2}),
    "conv2d_depthwise": Case(ops.conv2d, ((2, 3, 7, 6), (3, 1, 3, 3), (3,)), {"padding": 1, "groups": 3}),
    "conv_transpose1d": Case(
        ops.conv_transpose1d, ((2, 4, 9), (4, 3, 3), (6,)), {"padding": 1, "groups": 2, "dilation": 2}
    ),
    "conv_transpose2d": Case(
        ops.conv_transpose2d,
        ((2, 3, 4, 5), (3, 5, 3, 3), (5,)),
        {"stride": 2, "padding": 1, "output_padding": 1},
    ),
    "conv_transpose2d_depthwise": Case(
        ops.conv_transpose2d, ((2, 3, 4, 5), (3, 1, 4, 4), (3,)), {"stride": 2, "padding": 1, "groups": 3}
    ),
    "crf_loss": Case(
        ops.crf_loss, ((6, 4, 5), Indices((6, 4), 5), (5, 5), (5,), (5,), Indices((4,), 7, 1)), {"reduction": "none"}
    ),
    "crf_loss_mean": Case(ops.crf_loss, ((6, 40, 5), Indices((6, 40), 5), (5, 5), (5,), (5,))),
    "cross_entropy": Case(ops.cross_entropy, ((5, 7), Indices((5,), 7))),
    "cross_entropy_probabilities": Case(ops.cross_entropy, ((2, 7, 3), (2, 7, 3)), {"label_smoothing": 0.1}),
    "cross_entropy_weight": Case(
        ops.cross_entropy, ((4, 3, 5), Indices((4, 5), 3)), {"weight": [1, 2, 3], "reduction": "sum"}
    ),
    "ctc_loss": Case(
        ops.ctc_loss,
        ((9, 3, 7), Indices((3, 4), 6), Indices((3,), 10, 7), Indices((3,), 4, 1)),
        {"blank": 6, "reduction": "none"},
    ),
    "ctc_loss_joined": Case(
        ops.ctc_loss, ((9, 3, 7), Indices((9,), 6), Indices((3,), 10, 7), Indices((3,), 4, 3)), {"blank": 6}
    ),
    "div": Case(ops.div, ((3, 4), Positive((4,)))),
    "embedding": Case(ops.embedding, (Indices((2, 3), 5), (5, 4))),
    "exp": Case(ops.exp, ((3, 4),)),
    "flatten": Case(ops.flatten, ((3, 4, 2),), {"start_dim": 1}),
    "flip": Case(ops.flip, ((3, 4),), {"dims": 1}),
    "gru": Case(ops.gru, ((5, 3, 4), (1, 3, 6), (18, 4), (18, 6), (18,), (18,))),
    "gru_cell": Case(ops.gru_cell, ((3, 4), (3, 6), (18, 4), (18, 6), (18,), (18,))),
    "gru_variant": Case(
        ops.gru_variant,
        ((5, 3, 4), (1, 3, 6), (18, 4), (18, 6), (18,), (18,)),
        {"reset_after": False, "zoneout": 0.25},
    ),
    "index": Case(lambda x: ops.index(x, (slice(None), [0, 0, -1])), ((3, 4),)),
    "linear": Case(ops.linear, ((5, 7), (4, 7), (4,))),
    "log": Case(ops.log, (Positive((3, 4)),)),
    "log_softmax": Case(ops.log_softmax, ((2, 3, 5, 4),), {"dim": 1}),
    "lstm": Case(ops.lstm, ((5, 3, 4), (1, 3, 6), (1, 3, 6), (24, 4), (24, 6), (24,), (24,))),
    "lstm_both_ways": Case(
        ops.lstm,
        ((5, 3, 4), (2, 3, 6), (2, 3, 6), (24, 4), (24, 6), (24,), (24,), (24, 4), (24, 6), (24,), (24,)),
    ),
    "lstm_cell": Case(ops.lstm_cell, ((3, 4), (3, 6), (3, 6), (24, 4), (24, 6), (24,), (24,))),
    "lstm_variant": Case(
        ops.lstm_variant,  # short: normalisation makes the rounding of every step larger in the next
        ((2, 3, 4), (1, 3, 5), (1, 3, 6), (24, 4), (24, 5), (24,), (24,), (5, 6), (3, 6), (24,), (24,), (6,), (6,)),
        {"cell_clip": 0.8, "zoneout_c": 0.25},
    ),
    "matmul": Case(ops.matmul, ((3, 1, 4, 5), (2, 5, 6))),
    "max_at": Case(lambda x: ops.max(x, 1)[0], ((3, 4),)),
    "maximum": Case(ops.maximum, ((3, 4), (3, 4))),
    "maxpool1d": Case(ops.maxpool1d, ((2, 3, 7),), {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2}),
    "maxpool2d": Case(ops.maxpool2d, ((2, 3, 7, 6),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "maxpool2d_many_taps": Case(ops.maxpool2d, ((1, 2, 18, 17),), {"kernel_size": (17, 16), "stride": 1}),
    "mean": Case(ops.mean, ((3, 4, 5),), {"axis": 1}),
    "min_at": Case(lambda x: ops.min(x, 1)[0], ((3, 4),)),
    "minimum": Case(ops.minimum, ((3, 4), (3, 4))),
    "mul": Case(ops.mul, ((3, 4), (4,))),
    "neg": Case(ops.neg, ((3, 4),)),
    "pad": Case(ops.pad, ((3, 4),), {"pad": (1, 2), "value": 0.5}),
    "permute": Case(ops.permute, ((3, 4, 2),), {"dims": (0, 2, 1)}),
    "pow": Case(lambda x: ops.pow(x, 2), ((3, 4),)),
    "put_rows": Case(lambda x: ops.put_rows(x, [2, 0], 4), ((2, 3),)),
    "put_rows, sizes": Case(lambda x: ops.put_rows(x, [2, 0], (2, 2)), ((2, 3),)),
    "remainder": Case(ops.remainder, ((3, 4), Positive((4,)))),
    "repeat": Case(ops.repeat, ((3, 4),), {"sizes": (1, 2)}),
    "reshape": Case(ops.reshape, ((3, 4),), {"shape": (3, 2, -1)}),
    "rnn": Case(ops.rnn, ((5, 3, 4), (1, 3, 6), (6, 4), (6, 6), (6,), (6,))),
    "rnn_cell": Case(ops.rnn_cell, ((3, 4), (3, 6), (6, 4), (6, 6), (6,), (6,))),
    "softmax": Case(ops.softmax, ((6, 10),), {"dim": -1}),
    "split": Case(ops.split, ((3, 4),), {"split_size": (1, 3), "dim": 1}),
    "sqrt": Case(ops.sqrt, (Positive((3, 4)),)),
    "squeeze": Case(ops.squeeze, ((3, 1, 4),), {"dim": 1}),
    "stack": Case(lambda *parts: ops.stack(parts, 1), ((3, 4), (3, 4))),
    "std": Case(ops.std, ((3, 4, 5),), {"axis": 2}),
    "sub": Case(ops.sub, ((3, 4), (4,))),
    "sum": Case(ops.sum, ((3, 4, 5, 6),), {"axis": (0, 2)}),
    "take_rows": Case(lambda x: ops.take_rows(x, [2, 0]), ((3, 4),)),
    "to_float32": Case(ops.to_float32, ((3, 4),)),
    "transpose": Case(ops.transpose, ((3, 4, 2),), {"dim0": 1, "dim1": 2}),
    "unbind": Case(ops.unbind, ((3, 4),), {"dim": 1}),
    "unsqueeze": Case(ops.unsqueeze, ((3, 4),), {"dim": 1}),
    "var": Case(ops.var, ((3, 4, 5),), {"axis": 2}),
    "where": Case(lambda x, y: ops.where(EVEN, x, y), ((3, 4), (3, 4))),
}


def whole(op: Callable[..., Any]) -> Callable[..., Any]:
    """The op on Tensors of integers, which stay integers."""
    return lambda *arrays, **options: op(*map(fnn.tensor, arrays), **options)


# Without a gradient in any case.
LOOKS = {
    "add_int64": Case(whole(ops.add), (Indices((3, 4), 9), Indices((4,), 5))),
    "all": Case(ops.all, (Indices((3, 4), 9),), {"dim": 1}),
    "any": Case(ops.any, (Indices((3, 4), 2),), {"dim": (0, 1), "keepdim": True}),
    "argmax": Case(ops.argmax, ((3, 4),), {"dim": 1}),
    "argmin": Case(ops.argmin, ((3, 4),), {"dim": 1, "keepdim": True}),
    "bitwise_and": Case(ops.bitwise_and, (Indices((3, 4), 9), Indices((4,), 5))),
    "bitwise_not": Case(ops.bitwise_not, (Indices((3, 4), 9),)),
    "bitwise_or": Case(ops.bitwise_or, (Indices((3, 4), 9), Indices((4,), 5))),
    "bitwise_xor": Case(ops.bitwise_xor, (Indices((3, 4), 9), Indices((4,), 5))),
    "clamp_int64": Case(whole(ops.clamp), (Indices((3, 4), 9),), {"min": 2}),
    "crf_decode": Case(ops.crf_decode, ((6, 4, 5), (5, 5), (5,), (5,), Indices((4,), 7, 1))),
    "crf_lengths": Case(ops.crf_lengths, (Indices((4, 3), 2, 1),)),
    "ctc_beam_decode": Case(ops.ctc_beam_decode, ((4, 2, 3), Indices((2,), 5)), {"beam_width": 3, "top": 2}),
    "ctc_greedy_decode": Case(ops.ctc_greedy_decode, ((4, 2, 3), Indices((2,), 5))),
    "detach": Case(ops.detach, ((3, 4),)),
    "eq": Case(ops.eq, (Indices((3, 4), 3), Indices((4,), 3))),
    "floor_divide": Case(ops.floor_divide, ((3, 4), Positive((4,)))),
    "floor_divide_int64": Case(whole(ops.floor_divide), (Indices((3, 4), 9), Indices((4,), 5, 1))),
    "ge": Case(ops.ge, ((3, 4), (4,))),
    "gt": Case(ops.gt, ((3, 4), (4,))),
    "le": Case(ops.le, ((3, 4), (4,))),
    "logical_and": Case(ops.logical_and, ((3, 4), Indices((4,), 2))),
    "logical_not": Case(ops.logical_not, (Indices((3, 4), 2),)),
    "logical_or": Case(ops.logical_or, (Indices((3, 4), 2), Indices((4,), 2))),
    "logical_xor": Case(ops.logical_xor, (Indices((3, 4), 2), Indices((4,), 2))),
    "lt": Case(ops.lt, ((3, 4), (4,))),
    "maximum_int64": Case(whole(ops.maximum), (Indices((3, 4), 9), Indices((4,), 9))),
    "ne": Case(ops.ne, (Indices((3, 4), 3), Indices((4,), 3))),
    "packing": Case(ops.packing, (Indices((4,), 6, 1),), {"steps": 6}),
    "pow_int64": Case(whole(ops.pow), (Indices((3, 4), 9), Indices((4,), 4))),
    "remainder_int64": Case(whole(ops.remainder), (Indices((3, 4), 9), Indices((4,), 5, 1))),
    "sum_int64": Case(whole(ops.sum), (Indices((3, 4), 9),), {"axis": 1}),
    "to_bool": Case(ops.to_bool, (Indices((3, 4), 2),)),
    "to_int64": Case(ops.to_int64, ((3, 4),)),
}

# Other numbers at every call.
RANDOM = {"dropout": Case(ops.dropout, ((3, 4),))}


def is_float(array: Any) -> bool:
    return np.asarray(array).dtype.kind == "f"


def outputs_of(result: Any) -> list[Any]:
    """The outputs of an op as a flat list."""
    if isinstance(result, (tuple, list)):
        return [leaf for part in result for leaf in outputs_of(part)]
    return [result]


def run(case: Case, arrays: list[Any]) -> list[np.ndarray]:
    """Every output and the gradient of every float array, under a cotangent that depends on the shapes only."""
    rng = np.random.default_rng(11)
    tensors = [fnn.Tensor(a, requires_grad=True) if is_float(a) else a for a in arrays]
    outputs = outputs_of(case.op(*tensors, **case.options))
    weighted_sum(*outputs, cotangents=[rng.standard_normal(o.shape).astype(np.float32) for o in outputs]).backward()
    return [o.numpy() for o in outputs] + [t.grad.numpy() for t in tensors if isinstance(t, fnn.Tensor)]

# Written by .ci/stub.py from the bindings in cpp/bindings; do not edit.
from __future__ import annotations

import collections.abc
import typing

import numpy
import numpy.typing

class _KeptSteps:
    def __init__(self, calls: typing.Any) -> None: ...
    def prepare(self) -> None: ...
    def run(self) -> None: ...
    @property
    def result(self) -> typing.Any: ...

class RecurrentStream:
    def __init__(
        self,
        cell: str,
        layers: list[
            tuple[
                numpy.typing.NDArray[numpy.float32],
                numpy.typing.NDArray[numpy.float32],
                numpy.typing.NDArray[numpy.float32] | None,
                numpy.typing.NDArray[numpy.float32] | None,
            ]
        ],
    ) -> None: ...
    def copy(self) -> RecurrentStream: ...
    def reset(self) -> None: ...
    def set_state(
        self, h: numpy.typing.NDArray[numpy.float32], c: numpy.typing.NDArray[numpy.float32] | None
    ) -> None: ...
    def state(self) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32] | None]: ...
    def step(self, x: typing.Any, out: typing.Any) -> typing.Any: ...

def activation_backward(
    function: str,
    saved: numpy.typing.NDArray[numpy.float32],
    dy: numpy.typing.NDArray[numpy.float32],
    options: tuple[float, ...] = (),
) -> numpy.typing.NDArray[numpy.float32]: ...
def activation_forward(
    function: str, x: numpy.typing.NDArray[numpy.float32], options: tuple[float, ...] = ()
) -> numpy.typing.NDArray[numpy.float32]: ...
def activation_from_output(function: str) -> bool: ...
def adaptive_avgpool2d_backward(
    dy: numpy.typing.NDArray[numpy.float32], x_shape: collections.abc.Sequence[int]
) -> numpy.typing.NDArray[numpy.float32]: ...
def adaptive_avgpool2d_forward(
    x: numpy.typing.NDArray[numpy.float32], output_size: collections.abc.Sequence[int]
) -> numpy.typing.NDArray[numpy.float32]: ...
def are_dense(*args: typing.Any) -> bool: ...
def arithmetic(sign: str, x: typing.Any, y: typing.Any) -> typing.Any: ...
def available_isas() -> list[str]: ...
def avgpool2d_backward(
    dy: numpy.typing.NDArray[numpy.float32],
    x_shape: collections.abc.Sequence[int],
    kernel: collections.abc.Sequence[int],
    stride: collections.abc.Sequence[int],
    padding: collections.abc.Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int,
) -> numpy.typing.NDArray[numpy.float32]: ...
def avgpool2d_forward(
    x: numpy.typing.NDArray[numpy.float32],
    kernel: collections.abc.Sequence[int],
    stride: collections.abc.Sequence[int],
    padding: collections.abc.Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int,
) -> numpy.typing.NDArray[numpy.float32]: ...
def batchnorm_backward(
    dy: numpy.typing.NDArray[numpy.float32],
    x: numpy.typing.NDArray[numpy.float32],
    weight: numpy.typing.NDArray[numpy.float32] | None,
    bias: numpy.typing.NDArray[numpy.float32] | None,
    statistics: numpy.typing.NDArray[numpy.float32],
    fixed: bool,
    relu: bool,
    want_dx: bool,
    want_sums: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32] | None,
    numpy.typing.NDArray[numpy.float32] | None,
    numpy.typing.NDArray[numpy.float32] | None,
]: ...
def batchnorm_forward(
    x: numpy.typing.NDArray[numpy.float32],
    weight: numpy.typing.NDArray[numpy.float32] | None,
    bias: numpy.typing.NDArray[numpy.float32] | None,
    mean: numpy.typing.NDArray[numpy.float32] | None,
    variance: numpy.typing.NDArray[numpy.float32] | None,
    eps: float,
    relu: bool = False,
) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32]]: ...
def broadcast_to(x: numpy.ndarray, shape: collections.abc.Sequence[int]) -> typing.Any: ...
def clear_cache() -> None: ...
def computed(array: typing.Any, node: typing.Any, index: typing.Any, exposed: bool) -> typing.Any: ...
def conv2d_algorithm_names() -> typing.Annotated[list[list[str]], "FixedSize(3)"]: ...
def conv2d_algorithms(
    x_shape: collections.abc.Sequence[int],
    weight_shape: collections.abc.Sequence[int],
    stride: collections.abc.Sequence[int],
    padding: collections.abc.Sequence[int],
    dilation: collections.abc.Sequence[int],
    groups: int,
    algorithm: typing.Annotated[collections.abc.Sequence[str | None], "FixedSize(3)"] | str | None = None,
) -> typing.Annotated[list[str], "FixedSize(3)"]: ...
def conv2d_backward_input(
    dy: numpy.typing.NDArray[numpy.float32],
    weight: numpy.typing.NDArray[numpy.float32],
    x_shape: collections.abc.Sequence[int],
    stride: collections.abc.Sequence[int],
    padding: collections.abc.Sequence[int],
    dilation: collections.abc.Sequence[int],
    groups: int,
    algorithm: str | None = None,
) -> numpy.typing.NDArray[numpy.float32]: ...
def conv2d_backward_weight(
    x: numpy.typing.NDArray[numpy.float32],
    dy: numpy.typing.NDArray[numpy.float32],
    weight_shape: collections.abc.Sequence[int],
    stride: collections.abc.Sequence[int],
    padding: collections.abc.Sequence[int],
    dilation: collections.abc.Sequence[int],
    groups: int,
    algorithm: str | None = None,
) -> numpy.typing.NDArray[numpy.float32]: ...
def conv2d_forward(
    x: numpy.typing.NDArray[numpy.float32],
    weight: numpy.typing.NDArray[numpy.float32],
    bias: numpy.typing.NDArray[numpy.float32] | None,
    stride: collections.abc.Sequence[int],
    padding: collections.abc.Sequence[int],
    dilation: collections.abc.Sequence[int],
    groups: int,
    algorithm: str | None = None,
    residual: numpy.typing.NDArray[numpy.float32] | None = None,
    relu: bool = False,
) -> numpy.typing.NDArray[numpy.float32]: ...
def crf_decode(
    emissions: numpy.typing.NDArray[numpy.float32],
    transitions: numpy.typing.NDArray[numpy.float32],
    start: numpy.typing.NDArray[numpy.float32],
    end: numpy.typing.NDArray[numpy.float32],
    lengths: numpy.typing.NDArray[numpy.int64],
) -> tuple[numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.float32]]: ...
def crf_loss(
    emissions: numpy.typing.NDArray[numpy.float32],
    tags: numpy.typing.NDArray[numpy.int64],
    transitions: numpy.typing.NDArray[numpy.float32],
    start: numpy.typing.NDArray[numpy.float32],
    end: numpy.typing.NDArray[numpy.float32],
    lengths: numpy.typing.NDArray[numpy.int64],
    weights: numpy.typing.NDArray[numpy.float32],
    gradient: bool,
    of_transitions: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32] | None,
    numpy.typing.NDArray[numpy.float32] | None,
    numpy.typing.NDArray[numpy.float32] | None,
]: ...
def cross_entropy(
    x: numpy.typing.NDArray[numpy.float32],
    target: numpy.typing.NDArray[numpy.int64],
    weight: numpy.typing.NDArray[numpy.float32] | None,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
    gradient: bool,
) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32] | None]: ...
def cross_entropy_probabilities(
    x: numpy.typing.NDArray[numpy.float32],
    target: numpy.typing.NDArray[numpy.float32],
    weight: numpy.typing.NDArray[numpy.float32] | None,
    label_smoothing: float,
    reduction: str,
    gradient: bool,
) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32] | None]: ...
def ctc_beam(
    log_probs: numpy.typing.NDArray[numpy.float32],
    input_lengths: numpy.typing.NDArray[numpy.int64],
    beam_width: int,
    blank: int,
    top: int,
) -> tuple[
    numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.float32]
]: ...
def ctc_greedy(
    log_probs: numpy.typing.NDArray[numpy.float32], input_lengths: numpy.typing.NDArray[numpy.int64], blank: int
) -> tuple[
    numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.int64], numpy.typing.NDArray[numpy.float32]
]: ...
def ctc_loss(
    log_probs: numpy.typing.NDArray[numpy.float32],
    targets: numpy.typing.NDArray[numpy.int64],
    starts: numpy.typing.NDArray[numpy.int64],
    input_lengths: numpy.typing.NDArray[numpy.int64],
    target_lengths: numpy.typing.NDArray[numpy.int64],
    weights: numpy.typing.NDArray[numpy.float32],
    blank: int,
    zero_infinity: bool,
    gradient: bool,
) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32] | None]: ...
def digest(x: numpy.ndarray) -> bytes: ...
def dropout(
    x: numpy.typing.NDArray[numpy.float32], key: int, threshold: int, factor: float
) -> numpy.typing.NDArray[numpy.float32]: ...
def embedding_backward(
    indices: numpy.typing.NDArray[numpy.int64], dy: numpy.typing.NDArray[numpy.float32], rows: int, skip: int
) -> numpy.typing.NDArray[numpy.float32]: ...
def embedding_forward(
    indices: numpy.typing.NDArray[numpy.int64], weight: numpy.typing.NDArray[numpy.float32]
) -> numpy.typing.NDArray[numpy.float32]: ...
def empty(shape: collections.abc.Sequence[int]) -> numpy.typing.NDArray[numpy.float32]: ...
def empty_channels_last(shape: collections.abc.Sequence[int]) -> numpy.typing.NDArray[numpy.float32]: ...
def gemm(
    a: numpy.typing.NDArray[numpy.float32], b: numpy.typing.NDArray[numpy.float32]
) -> numpy.typing.NDArray[numpy.float32]: ...
def get_num_threads() -> int: ...
def gru_backward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    y: numpy.typing.NDArray[numpy.float32],
    kept: list[list[numpy.typing.NDArray[numpy.float32]]],
    dy: numpy.typing.NDArray[numpy.float32] | None,
    dh: numpy.typing.NDArray[numpy.float32] | None,
    want_x: bool,
    wanted: collections.abc.Sequence[bool],
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32] | None,
    list[numpy.typing.NDArray[numpy.float32] | None],
]: ...
def gru_forward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    keep: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    list[list[numpy.typing.NDArray[numpy.float32]]],
]: ...
def gru_variant_backward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    masks: list[numpy.typing.NDArray[numpy.float32] | None],
    reset_after: bool,
    y: numpy.typing.NDArray[numpy.float32],
    kept: list[list[numpy.typing.NDArray[numpy.float32]]],
    dy: numpy.typing.NDArray[numpy.float32] | None,
    dh: numpy.typing.NDArray[numpy.float32] | None,
    want_x: bool,
    wanted: collections.abc.Sequence[bool],
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32] | None,
    list[numpy.typing.NDArray[numpy.float32] | None],
]: ...
def gru_variant_forward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    masks: list[numpy.typing.NDArray[numpy.float32] | None],
    reset_after: bool,
    keep: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    list[list[numpy.typing.NDArray[numpy.float32]]],
]: ...
def isa() -> str: ...
def know_tensor(kind: type) -> None: ...
def linear_backward(
    x: numpy.typing.NDArray[numpy.float32],
    weight: numpy.typing.NDArray[numpy.float32],
    dy: numpy.typing.NDArray[numpy.float32],
    want_x: bool,
    want_weight: bool,
    want_bias: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32] | None,
    numpy.typing.NDArray[numpy.float32] | None,
    numpy.typing.NDArray[numpy.float32] | None,
]: ...
def linear_forward(
    x: numpy.typing.NDArray[numpy.float32],
    weight: numpy.typing.NDArray[numpy.float32],
    bias: numpy.typing.NDArray[numpy.float32] | None,
    relu: bool = False,
) -> numpy.typing.NDArray[numpy.float32]: ...
def lstm_backward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    c0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    y: numpy.typing.NDArray[numpy.float32],
    kept: list[list[numpy.typing.NDArray[numpy.float32]]],
    dy: numpy.typing.NDArray[numpy.float32] | None,
    dh: numpy.typing.NDArray[numpy.float32] | None,
    dc: numpy.typing.NDArray[numpy.float32] | None,
    want_x: bool,
    wanted: collections.abc.Sequence[bool],
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32] | None,
    list[numpy.typing.NDArray[numpy.float32] | None],
]: ...
def lstm_forward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    c0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    keep: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    list[list[numpy.typing.NDArray[numpy.float32]]],
]: ...
def lstm_variant_backward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    c0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    extras: list[numpy.typing.NDArray[numpy.float32] | None],
    masks: list[numpy.typing.NDArray[numpy.float32] | None],
    coupled: bool,
    clip: float,
    y: numpy.typing.NDArray[numpy.float32],
    kept: list[list[numpy.typing.NDArray[numpy.float32]]],
    dy: numpy.typing.NDArray[numpy.float32] | None,
    dh: numpy.typing.NDArray[numpy.float32] | None,
    dc: numpy.typing.NDArray[numpy.float32] | None,
    want_x: bool,
    wanted: collections.abc.Sequence[bool],
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32] | None,
    list[numpy.typing.NDArray[numpy.float32] | None],
    list[tuple[numpy.typing.NDArray[numpy.float32] | None, numpy.typing.NDArray[numpy.float32]]],
]: ...
def lstm_variant_forward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    c0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    extras: list[numpy.typing.NDArray[numpy.float32] | None],
    masks: list[numpy.typing.NDArray[numpy.float32] | None],
    coupled: bool,
    clip: float,
    keep: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32],
    list[list[numpy.typing.NDArray[numpy.float32]]],
]: ...
def maxpool2d_backward(
    dy: numpy.typing.NDArray[numpy.float32],
    index: numpy.ndarray,
    x_shape: collections.abc.Sequence[int],
    kernel: collections.abc.Sequence[int],
    stride: collections.abc.Sequence[int],
    padding: collections.abc.Sequence[int],
    dilation: collections.abc.Sequence[int],
    ceil_mode: bool,
) -> numpy.typing.NDArray[numpy.float32]: ...
def maxpool2d_forward(
    x: numpy.typing.NDArray[numpy.float32],
    kernel: collections.abc.Sequence[int],
    stride: collections.abc.Sequence[int],
    padding: collections.abc.Sequence[int],
    dilation: collections.abc.Sequence[int],
    ceil_mode: bool,
    with_index: bool,
) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.ndarray | None]: ...
def memory_stats() -> dict[str, int]: ...
def opened(given: typing.Any, taped: bool) -> typing.Any: ...
def optimizer_step(
    rule: str,
    weight: numpy.typing.NDArray[numpy.float32],
    grad: numpy.typing.NDArray[numpy.float32],
    states: list[numpy.typing.NDArray[numpy.float32] | None],
    ranges: collections.abc.Sequence[tuple[int, int, tuple[float, ...]]],
) -> None: ...
def pointwise_loss(
    function: str,
    x: numpy.typing.NDArray[numpy.float32],
    target: numpy.typing.NDArray[numpy.float32],
    weight: numpy.typing.NDArray[numpy.float32] | None,
    pos_weight: numpy.typing.NDArray[numpy.float32] | None,
    options: tuple[float, ...],
    scale: float,
    each: bool,
    of_x: bool,
    of_target: bool,
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32] | None,
    numpy.typing.NDArray[numpy.float32] | None,
]: ...
def rnn_backward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    y: numpy.typing.NDArray[numpy.float32],
    dy: numpy.typing.NDArray[numpy.float32] | None,
    dh: numpy.typing.NDArray[numpy.float32] | None,
    relu: bool,
    want_x: bool,
    wanted: collections.abc.Sequence[bool],
) -> tuple[
    numpy.typing.NDArray[numpy.float32],
    numpy.typing.NDArray[numpy.float32] | None,
    list[numpy.typing.NDArray[numpy.float32] | None],
]: ...
def rnn_forward(
    x: numpy.typing.NDArray[numpy.float32],
    batch_sizes: numpy.typing.NDArray[numpy.int64] | None,
    h0: numpy.typing.NDArray[numpy.float32] | None,
    weights: list[numpy.typing.NDArray[numpy.float32] | None],
    relu: bool,
) -> tuple[numpy.typing.NDArray[numpy.float32], numpy.typing.NDArray[numpy.float32]]: ...
def roofline_copy(x: numpy.typing.NDArray[numpy.float32], y: numpy.typing.NDArray[numpy.float32]) -> None: ...
def roofline_peak(tasks: int, steps: int) -> int: ...
def row_means(x: numpy.typing.NDArray[numpy.float32], divisor: float) -> numpy.typing.NDArray[numpy.float32]: ...
def row_sums(x: numpy.typing.NDArray[numpy.float32], divisor: float = 1.0) -> numpy.typing.NDArray[numpy.float64]: ...
def set_isa(name: str) -> None: ...
def set_num_threads(n: int) -> None: ...
def softmax_backward(
    y: numpy.typing.NDArray[numpy.float32], dy: numpy.typing.NDArray[numpy.float32], log: bool
) -> numpy.typing.NDArray[numpy.float32]: ...
def softmax_forward(x: numpy.typing.NDArray[numpy.float32], log: bool) -> numpy.typing.NDArray[numpy.float32]: ...
def sum_rows(x: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]: ...
def sum_squares(x: numpy.typing.NDArray[numpy.float32]) -> float: ...
def take_rows(
    x: numpy.typing.NDArray[numpy.float32], index: numpy.typing.NDArray[numpy.int64]
) -> numpy.typing.NDArray[numpy.float32]: ...
def thread_backend() -> str: ...
def transpose(x: numpy.typing.NDArray[numpy.float32]) -> numpy.typing.NDArray[numpy.float32]: ...

__version__: str

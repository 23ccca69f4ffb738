"""``fastnn bench``: what this machine can do at most, and how much of it the layers reach; beside PyTorch, ONNX
Runtime, OpenVINO and JAX where they are installed. Numbers for orientation: all libraries share one process here,
figures that are published come from bench/compare.py.
"""

from __future__ import annotations

import importlib
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import _core, nn
from fastnn.arrays import FloatArray, channels_last
from fastnn.runtime.threads import get_num_threads
from fastnn.tape import no_grad
from fastnn.tensor import Tensor

Run = Callable[[], Any]

_ROUNDS = 5
_PAUSE = 0.03  # seconds; threads of the library before spin for a while after their work


@dataclass(frozen=True)
class Case:
    """A layer by torch.nn's name and arguments, its input, and the least work that it takes."""

    title: str
    layer: str
    arguments: tuple[Any, ...]
    shape: tuple[int, ...]
    flops: float = 0.0  # of the forward; training takes three times as many
    values: float = 0.0  # read and written once in the forward, for layers bound by memory


CASES = (
    Case("Conv2d 64 to 64, 3x3", "Conv2d", (64, 64, 3, 1, 1), (8, 64, 28, 28), 2 * 8 * 28 * 28 * 64 * 64 * 9),
    Case("Conv2d 1 to 6, 5x5", "Conv2d", (1, 6, 5, 1, 2), (64, 1, 28, 28), 2 * 64 * 28 * 28 * 6 * 25),
    Case("MaxPool2d 2", "MaxPool2d", (2,), (16, 64, 56, 56), values=16 * 64 * 56 * 56 * 1.25),
    Case("Linear 512 to 512", "Linear", (512, 512), (256, 512), 2 * 256 * 512 * 512),
    Case("LSTM 64 to 256, T 64, N 32", "LSTM", (64, 256), (64, 32, 64), 2 * 64 * 32 * 4 * 256 * (64 + 256)),
)


def fma_peak(seconds: float = 0.3) -> float:
    """FLOP/s of multiply-adds in registers with the threads set: the most that any kernel can reach."""
    tasks, steps, best = 4 * get_num_threads(), 50_000, 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        flops = _core.roofline_peak(tasks, steps)
        best = max(best, flops / (time.perf_counter() - start))
    return best


def copy_bandwidth(seconds: float = 0.3, size: int = 1 << 24) -> float:
    """Bytes read plus written per second when copying ``size`` float32 (default 64 MiB) with the threads set."""
    x, y, best = np.ones(size, np.float32), np.zeros(size, np.float32), 0.0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        _core.roofline_copy(x, y)
        best = max(best, 2 * x.nbytes / (time.perf_counter() - start))
    return best


def _first(y: Any) -> Any:
    return y[0] if isinstance(y, tuple) else y


def _fastnn_runs(case: Case, x: FloatArray) -> dict[str, Run]:
    layer = getattr(nn, case.layer)(*case.arguments)
    if x.ndim == 4 and x.shape[1] > 4:  # no image but the output of a layer
        x = channels_last(x)

    def forward() -> None:
        with no_grad():
            layer(x)

    def train() -> None:
        layer.zero_grad()
        y = _first(layer(Tensor(x, requires_grad=True)))
        y.backward(np.ones_like(y.numpy()))

    return {"forward": forward, "train": train}


def _module(name: str) -> Any:
    """The module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _torch_runs(case: Case, x: FloatArray, layout: str = "contiguous_format") -> dict[str, Run]:
    torch = _module("torch")
    if torch is None or (layout == "channels_last" and x.ndim != 4):
        return {}
    torch.set_num_threads(get_num_threads())
    memory = getattr(torch, layout)
    layer = getattr(torch.nn, case.layer)(*case.arguments).to(memory_format=memory)
    tensor = torch.from_numpy(x).contiguous(memory_format=memory)

    def forward() -> None:
        with torch.no_grad():
            layer(tensor)

    def train() -> None:
        layer.zero_grad()
        y = _first(layer(tensor.detach().requires_grad_()))
        y.backward(torch.ones_like(y))

    return {"forward": forward, "train": train}


def _torch_cl_runs(case: Case, x: FloatArray) -> dict[str, Run]:
    return _torch_runs(case, x, "channels_last")


def _onnx_node(case: Case) -> tuple[str, list[FloatArray], dict[str, Any]]:
    """ONNX's operator, weights (zeros: only the time is wanted) and attributes for a case."""
    if case.layer == "Conv2d":
        channels, filters, kernel, stride, padding = case.arguments
        attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        weight = np.zeros((filters, channels, kernel, kernel), np.float32)
        return "Conv", [weight, np.zeros(filters, np.float32)], attributes
    if case.layer == "MaxPool2d":
        return "MaxPool", [], {"kernel_shape": [case.arguments[0]] * 2, "strides": [case.arguments[0]] * 2}
    inputs, outputs = case.arguments
    if case.layer == "Linear":
        return "Gemm", [np.zeros((outputs, inputs), np.float32), np.zeros(outputs, np.float32)], {"transB": 1}
    shapes = ((1, 4 * outputs, inputs), (1, 4 * outputs, outputs), (1, 8 * outputs))
    return "LSTM", [np.zeros(shape, np.float32) for shape in shapes], {"hidden_size": outputs}


def _onnx_model(case: Case, onnx: Any) -> bytes:
    kind, weights, attributes = _onnx_node(case)
    names = [f"w{i}" for i in range(len(weights))]
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, ["x", *names], ["y"], **attributes)],
        "case",
        [onnx.helper.make_tensor_value_info("x", float32, case.shape)],
        [onnx.helper.make_tensor_value_info("y", float32, None)],
        [onnx.numpy_helper.from_array(weight, name) for weight, name in zip(weights, names, strict=True)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def _onnxruntime_runs(case: Case, x: FloatArray) -> dict[str, Run]:
    onnx, onnxruntime = _module("onnx"), _module("onnxruntime")
    if onnx is None or onnxruntime is None:
        return {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = get_num_threads()
    model = _onnx_model(case, onnx)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return {"forward": lambda: session.run(None, {"x": x})}


def _openvino_runs(case: Case, x: FloatArray) -> dict[str, Run]:
    onnx, openvino = _module("onnx"), _module("openvino")
    if onnx is None or openvino is None:
        return {}
    core = openvino.Core()
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    config["INFERENCE_NUM_THREADS"] = str(get_num_threads())
    request = core.compile_model(core.read_model(_onnx_model(case, onnx), b""), "CPU", config).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    return {"forward": request.infer}


def _jax_layer(case: Case, jax: Any) -> tuple[Any, list[FloatArray]]:
    """The layer as a function on (N, H, W, C) and its weights; (None, []) for layers JAX itself does not have."""
    if case.layer == "Conv2d":
        channels, filters, kernel, stride, padding = case.arguments
        how = {"padding": [(padding, padding)] * 2, "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
        weights = [np.zeros((kernel, kernel, channels, filters), np.float32), np.zeros(filters, np.float32)]
        return lambda x, w, b: jax.lax.conv_general_dilated(x, w, (stride, stride), **how) + b, weights
    if case.layer == "MaxPool2d":
        window = (1, case.arguments[0], case.arguments[0], 1)
        return lambda x: jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, window, "VALID"), []
    if case.layer == "Linear":
        return lambda x, w, b: x @ w + b, [
            np.zeros(case.arguments, np.float32),
            np.zeros(case.arguments[1], np.float32),
        ]
    return None, []


def _jax_runs(case: Case, x: FloatArray) -> dict[str, Run]:
    jax = _module("jax")
    if jax is None or get_num_threads() != len(os.sched_getaffinity(0)):  # it takes all cores, whatever is asked
        return {}
    layer, weights = _jax_layer(case, jax)
    if layer is None:
        return {}
    arguments = [jax.numpy.asarray(a) for a in (x.transpose(0, 2, 3, 1) if x.ndim == 4 else x, *weights)]

    def gradients(dy: Any, *arguments: Any) -> Any:
        y, backward = jax.vjp(layer, *arguments)
        return y, backward(dy)

    forward, train = jax.jit(layer), jax.jit(gradients)
    dy = jax.numpy.ones_like(forward(*arguments))
    return {
        "forward": lambda: jax.block_until_ready(forward(*arguments)),
        "train": lambda: jax.block_until_ready(train(dy, *arguments)),
    }


def _measure(runs: dict[str, Run], seconds: float) -> dict[str, float]:
    """Seconds per call for every library: the median of rounds in which all take turns."""
    for run in runs.values():  # first calls allocate and start threads
        run()
        run()
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(_ROUNDS):
        for name, run in runs.items():
            time.sleep(_PAUSE)
            run()
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds / _ROUNDS or count == 0:
                run()
                count += 1
            samples[name].append((time.perf_counter() - start) / count)
    return {name: statistics.median(values) for name, values in samples.items()}


_LIBRARIES: dict[str, Callable[[Case, FloatArray], dict[str, Run]]] = {
    "fastnn": _fastnn_runs,
    "torch": _torch_runs,
    "torch_cl": _torch_cl_runs,
    "onnxruntime": _onnxruntime_runs,
    "openvino": _openvino_runs,
    "jax": _jax_runs,
}


def _print_line(case: Case, phase: str, times: dict[str, float], peak: float, bandwidth: float) -> None:
    passes = 3 if phase == "train" else 1
    if case.flops:
        limit = f"{passes * case.flops / times['fastnn'] / peak:.0%} of FMA"
    else:
        limit = f"{(1 + passes) // 2 * 4 * case.values / times['fastnn'] / bandwidth:.0%} of copy"
    texts = {name: f"{1e6 * times[name]:.0f}" if name in times else "-" for name in _LIBRARIES}
    rivals = "".join(f"{text:>{_width(name)}}" for name, text in texts.items() if name != "fastnn")
    print(f"{case.title:<27}{phase:<9}{texts['fastnn']:>9}{limit:>14}{rivals}")


def _width(name: str) -> int:
    return max(9, len(name) + 2)


def run_bench(seconds: float = 0.5) -> int:
    """Prints the table; ``seconds`` per measurement. Returns 0."""
    peak, bandwidth = fma_peak(), copy_bandwidth()
    print(f"{_core.isa()}, {get_num_threads()} threads: {peak / 1e9:.0f} GFLOP/s FMA peak, ", end="")
    print(f"{bandwidth / 1e9:.1f} GB/s copy (64 MiB)\n")
    rivals = [name for name in _LIBRARIES if name != "fastnn"]
    heads = "".join(f"{name:>{_width(name)}}" for name in rivals)
    print(f"{'microseconds':<27}{'pass':<9}{'fastnn':>9}{'of limit':>14}{heads}")
    rng = np.random.default_rng(0)
    for case in CASES:
        x = rng.standard_normal(case.shape, np.float32)
        runs = {name: make(case, x) for name, make in _LIBRARIES.items()}
        for phase in ("forward", "train"):
            times = _measure({name: found[phase] for name, found in runs.items() if phase in found}, seconds)
            _print_line(case, phase, times, peak, bandwidth)
    print("\ntorch_cl is torch with channels-last memory; jax is beside only where fastnn uses all cores, as jax does.")
    missing = [name for name in ("torch", "onnx", "onnxruntime", "openvino", "jax") if _module(name) is None]
    if missing:
        print(f"not installed, so not beside: {', '.join(missing)}")
    return 0

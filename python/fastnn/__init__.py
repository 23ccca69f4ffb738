"""fastnn: trains and serves CNNs and RNNs on the CPU. NumPy in, NumPy out."""

import importlib as _importlib
import typing as _typing

from fastnn import _core as _core
from fastnn import callbacks, data, graph, losses, metrics, nn, ops, optim, schedules
from fastnn.creation import tensor
from fastnn.dtypes import bool as bool
from fastnn.dtypes import float as float  # these two not by *: they are Python's names
from fastnn.dtypes import float32, int64, long
from fastnn.explain import Explanation, explain
from fastnn.files.checkpoint import CheckpointError, load, load_metadata, load_state, save
from fastnn.graph import Graph, TraceError, rewrite, trace
from fastnn.nn.recurrent.streaming import Stream
from fastnn.random import get_rng_state, manual_seed, set_rng_state
from fastnn.runtime.report import show_versions
from fastnn.runtime.settings import conv_algorithm, get_conv_algorithm
from fastnn.runtime.threads import default_num_threads, get_num_threads, set_num_threads, threads
from fastnn.tape import is_grad_enabled, no_grad
from fastnn.torch_names import missing as _missing
from fastnn.training.fit import evaluate, fit
from fastnn.value import Parameter, Tensor

__version__: str = _core.__version__

__all__ = [
    "CheckpointError",
    "Explanation",
    "Graph",
    "Parameter",
    "Stream",
    "Tensor",
    "TraceError",
    "callbacks",
    "conv_algorithm",
    "data",
    "datasets",
    "evaluate",
    "explain",
    "fit",
    "float32",
    "get_conv_algorithm",
    "get_num_threads",
    "get_rng_state",
    "graph",
    "int64",
    "is_grad_enabled",
    "load",
    "load_metadata",
    "load_state",
    "long",
    "losses",
    "manual_seed",
    "metrics",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "rewrite",
    "save",
    "schedules",
    "set_num_threads",
    "set_rng_state",
    "show_versions",
    "tensor",
    "threads",
    "trace",
]

_core.set_num_threads(default_num_threads())


if _typing.TYPE_CHECKING:
    from fastnn import datasets
    from fastnn import viz as viz
else:

    def __getattr__(name: str) -> object:
        if name in ("datasets", "viz"):  # what they need takes long to import
            return _importlib.import_module(f"fastnn.{name}")
        raise _missing(__name__, name, __all__)

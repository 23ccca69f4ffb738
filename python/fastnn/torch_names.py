"""What to write for a name of torch that fastnn does not have: said by the AttributeError.

A name that is elsewhere in fastnn is found there; of others the tables say what does the same. All the rest is "not in
fastnn". Nothing here runs for names that exist.
"""

from __future__ import annotations

import sys
from typing import Any

from fastnn.training.spelling import meant

_CPU = "everything is on the CPU: leave it out"
_DTYPES = "Tensors are float32, int64 or bool: write "
_MADE = "write fnn.tensor(np.{}(...)), with requires_grad=True where it is to be trained"
_LAYOUT = "ops take any layout in memory: leave it out"

PACKAGE: dict[str, str] = {
    **dict.fromkeys(("bfloat16", "double", "float16", "float64", "half"), f"{_DTYPES}fnn.float32"),
    **dict.fromkeys(("int", "int16", "int32", "int8", "short", "uint8"), f"{_DTYPES}fnn.int64"),
    **dict.fromkeys(("backends", "cuda", "device", "set_default_device"), _CPU),
    **dict.fromkeys(("compile", "export", "fx", "jit", "onnx"), "write fnn.trace(model, shape) for a Graph"),
    **dict.fromkeys(("enable_grad", "set_grad_enabled"), "write with fnn.no_grad(): around what is not recorded"),
    **dict.fromkeys(("mm", "bmm", "mv", "dot"), "write x @ y"),
    **{name: _MADE.format(name) for name in ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")},
    **{name: _MADE.format(name) for name in ("empty_like", "full_like", "ones_like", "zeros_like")},
    **dict.fromkeys(("rand", "randint", "randn", "randperm"), "write fnn.tensor(rng.normal(size=...)), NumPy's rng"),
    "FloatTensor": "write fnn.tensor(data, dtype=fnn.float32)",
    "Generator": "write fnn.manual_seed(seed), or pass rng= where there is one",
    "LongTensor": "write fnn.tensor(data, dtype=fnn.int64)",
    "as_tensor": "write fnn.tensor(data), a copy, or fnn.Tensor(array), which shares the memory of float32",
    "autograd": "write loss.backward(), then x.grad",
    "einsum": "write it with x.reshape, x.permute and x @ y",
    "from_numpy": "write fnn.tensor(array), a copy, or fnn.Tensor(array), which shares the memory of float32",
    "inference_mode": "write with fnn.no_grad():",
    "is_tensor": "write isinstance(x, fnn.Tensor)",
    "norm": "write (x * x).sum().sqrt()",
    "use_deterministic_algorithms": "it is always so: leave it out",
    "utils": "write fnn.data.batches(arrays, batch_size) for a DataLoader, nn.utils for clip_grad_norm_",
}

NN: dict[str, str] = {
    "DataParallel": f"{_CPU}; fnn.set_num_threads says on how many cores",
    "Hardtanh": "write x.clamp(-1, 1) in a forward",
    "ReLU6": "write x.clamp(0, 6) in a forward",
    "Unflatten": "write x.reshape(...) in a forward",
    "UninitializedParameter": "say sizes where a layer is made",
    "ZeroPad2d": "write nn.functional.pad(x, (left, right, top, bottom)) in a forward, or padding= of the layer",
}

FUNCTIONAL: dict[str, str] = {
    "hardtanh": "write x.clamp(-1, 1)",
    "normalize": "write x / (x * x).sum(dim, keepdim=True).sqrt()",
    "one_hot": "write fnn.tensor(np.eye(classes)[x.numpy()])",
    "relu6": "write x.clamp(0, 6)",
}

OPTIM: dict[str, str] = {
    "lr_scheduler": "write fnn.callbacks.LearningRate(fnn.schedules...), or set optimizer.lr",
}

TENSOR: dict[str, str] = {
    **dict.fromkeys(("bfloat16", "double", "half"), f"{_DTYPES}x.float()"),
    **dict.fromkeys(("byte", "char", "int", "short"), f"{_DTYPES}x.long()"),
    **dict.fromkeys(("cpu", "cuda", "device", "is_cuda", "pin_memory"), _CPU),
    **dict.fromkeys(("contiguous", "is_contiguous"), _LAYOUT),
    **dict.fromkeys(("bmm", "dot", "mm", "mv"), "write x @ y"),
    **dict.fromkeys(("new_empty", "new_ones", "new_tensor", "new_zeros"), "write fnn.tensor(np.zeros(...))"),
    **dict.fromkeys(("normal_", "uniform_"), "write x.data[...] = rng.normal(size=x.shape), NumPy's rng"),
    **dict.fromkeys(("argsort", "sort", "topk"), "write np.argsort(-x.detach().numpy()), and x[order]"),
    "add": "write x + y",
    "as_strided": "write x.reshape, x.permute or x[...]",
    "astype": "write x.float(), x.long() or x.bool(); of an array, x.numpy().astype(...)",
    "copy": "write x.clone(); an array is x.numpy().copy()",
    "detach_": "write x = x.detach()",
    "div": "write x / y",
    "dot_": "write x @ y",
    "expand_as": "write x.expand(y.shape)",
    "gather": "write x[np.arange(n), index]",
    "index_select": "write x[:, index]",
    "is_leaf": "a Tensor that was computed has no grad, leaves have",
    "masked_fill": "write fnn.ops.where(mask, value, x)",
    "masked_select": "write x[mask]",
    "mul": "write x * y",
    "ndimension": "write x.ndim",
    "nonzero": "write np.nonzero(x.numpy())",
    "norm": "write (x * x).sum().sqrt()",
    "permute_": "write x = x.permute(...)",
    "ravel": "write x.flatten()",
    "register_hook": "write a callback with on_grad_computed, or change x.grad after backward()",
    "retain_grad": "write y = x.detach(); y.requires_grad = True",
    "rsqrt": "write 1 / x.sqrt()",
    "square": "write x * x",
    "stride": "write x.numpy().strides, in bytes",
    "strides": "write x.numpy().strides",
    "sub": "write x - y",
    "swapaxes": "write x.transpose(dim0, dim1)",
    "t": "write x.T",
    "tile": "write x.repeat(...)",
    "tobytes": "write x.numpy().tobytes()",
    "true_divide": "write x / y",
    "type": "write x.dtype, or x.to(dtype)",
    "type_as": "write x.to(y.dtype)",
    "view_as": "write x.view(y.shape)",
}

TABLES = {
    "fastnn": PACKAGE,
    "fastnn.nn": NN,
    "fastnn.nn.functional": FUNCTIONAL,
    "fastnn.optim": OPTIM,
    "Tensor": TENSOR,
}
_SHORT = {"fastnn": "fnn", "fastnn.nn": "nn", "fastnn.nn.functional": "nn.functional", "fastnn.optim": "fnn.optim"}


def _elsewhere(where: str, name: str) -> str | None:
    """What to write where the name is in another place of fastnn."""
    package = sys.modules["fastnn"]
    if where == "Tensor":
        if name in package.ops.__all__:
            return f"write fnn.ops.{name}(x, ...)"
        plain = name[:-1]
        if name.endswith("_") and hasattr(package.Tensor, plain):
            return f"write x = x.{plain}(...), or x.copy_(x.{plain}(...))"
        return None
    for place in ("ops", "nn", "nn.functional", "optim"):
        module: Any = sys.modules[f"fastnn.{place}"]
        if name in module.__all__:
            return f"write fnn.{place}.{name}"
    if where != "fastnn" and name in package.__all__:
        return f"write fnn.{name}"
    if where in ("fastnn", "fastnn.nn.functional") and name in vars(package.Tensor):
        return f"write x.{name}(...)"
    return None


def missing(where: str, name: str, known: Any = ()) -> AttributeError:
    """The error for ``name``, which ``where``, a module or "Tensor", does not have; ``known``: what it has."""
    short = _SHORT.get(where, where)
    if name.startswith("__"):
        return AttributeError(f"{short} has no attribute {name!r}")
    said = TABLES[where].get(name) or _elsewhere(where, name) or f"it is not in fastnn{meant(name, known)}"
    return AttributeError(f"{short} has no {name!r}: {said}")

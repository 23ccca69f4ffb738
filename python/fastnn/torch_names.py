"""What to write for a name of torch that fastnn does not have: said by the AttributeError.

A name that is elsewhere in fastnn is found there; of others the tables say what does the same. All the rest is "not in
fastnn", and only what torch does not have either (torch_only.py) may be a misspelling. Nothing here runs for names that
exist: modules have a ``__getattr__``, Tensor has MissingNames behind its own.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from fastnn.training.spelling import meant

_CPU = "everything is on the CPU: leave it out"
_DTYPES = "Tensors are float32, int64 or bool: write "
_MADE = "write fnn.tensor(np.{}(...)), with requires_grad=True where it is to be trained"
_ARRAY = "of the array, without a gradient: write fnn.tensor(np."
_RANDOM = "write, with rng = np.random.default_rng(), fnn.tensor("
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
    "rand": f"{_RANDOM}rng.random(shape))",
    "randint": f"{_RANDOM}rng.integers(low, high, shape))",
    "randn": f"{_RANDOM}rng.normal(size=shape))",
    "randperm": f"{_RANDOM}rng.permutation(n))",
    "FloatTensor": "write fnn.tensor(data, dtype=fnn.float32)",
    "Generator": "write fnn.manual_seed(seed), or pass rng= where there is one",
    "LongTensor": "write fnn.tensor(data, dtype=fnn.int64)",
    "as_tensor": "write fnn.tensor(data), a copy, or fnn.Tensor(array), which shares the memory of float32",
    "autograd": "write loss.backward(), then x.grad",
    "einsum": "write it with x.reshape, x.permute and x @ y",
    "from_numpy": "write fnn.tensor(array), a copy, or fnn.Tensor(array), which shares the memory of float32",
    "inference_mode": "write with fnn.no_grad():",
    "is_tensor": "write isinstance(x, fnn.Tensor)",
    "set_conv_algorithm": "write with fnn.conv_algorithm(name): around what is computed so",
    "norm": "write (x * x).sum().sqrt()",
    "use_deterministic_algorithms": "it is always so: leave it out",
    "utils": "write fnn.data.batches(arrays, batch_size) for a DataLoader, nn.utils for clip_grad_norm_",
}

NN: dict[str, str] = {
    "BCELoss": "write nn.BCEWithLogitsLoss, and leave out the sigmoid before it",
    "DataParallel": f"{_CPU}; fnn.set_num_threads says on how many cores",
    "Hardtanh": "write x.clamp(-1, 1) in a forward",
    "LogSigmoid": "write -nn.functional.softplus(-x) in a forward",
    "NLLLoss": "write nn.CrossEntropyLoss, and leave out the log_softmax before it",
    "ReLU6": "write x.clamp(0, 6) in a forward",
    "SmoothL1Loss": "write nn.HuberLoss(delta=beta), which is beta times as large: the same for beta=1, the default",
    "Softmax2d": "write nn.Softmax(dim=1)",
    "Softmin": "write (-x).softmax(dim) in a forward",
    "Softsign": "write x / (1 + x.abs()) in a forward",
    "Unflatten": "write x.reshape(...) in a forward",
    "UninitializedParameter": "say sizes where a layer is made",
    "ZeroPad2d": "write nn.functional.pad(x, (left, right, top, bottom)) in a forward, or padding= of the layer",
}

FUNCTIONAL: dict[str, str] = {
    "binary_cross_entropy": "write nn.functional.binary_cross_entropy_with_logits, without the sigmoid before it",
    "hardtanh": "write x.clamp(-1, 1)",
    "hardsigmoid": "write (x + 3).clamp(0, 6) / 6",
    "logsigmoid": "write -nn.functional.softplus(-x)",
    "nll_loss": "write nn.functional.cross_entropy, without the log_softmax before it",
    "normalize": "write x / (x * x).sum(dim, keepdim=True).sqrt().clamp(1e-12)",
    "one_hot": "write fnn.tensor(np.eye(classes, dtype=int)[x.numpy()])",
    "relu6": "write x.clamp(0, 6)",
    "smooth_l1_loss": "write nn.functional.huber_loss(x, y, delta=beta) / beta; beta is 1 in torch unless given",
    "softmin": "write (-x).softmax(dim)",
    "softsign": "write x / (1 + x.abs())",
}

OPTIM: dict[str, str] = {
    "lr_scheduler": "write fnn.callbacks.LearningRate(fnn.schedules...), or set optimizer.lr",
}

# The other names of torch.Tensor, as of torch 2.13.
_OTHERS = """
H abs_ absolute absolute_ acos acos_ acosh acosh_ addbmm addbmm_ addcdiv addcdiv_ addcmul addcmul_ addmm
addmm_ addmv addmv_ addr addr_ adjoint allclose amax amin aminmax angle apply_ arccos arccos_ arccosh arccosh_
arcsin arcsin_ arcsinh arcsinh_ arctan arctan2 arctan2_ arctan_ arctanh arctanh_ argwhere as_strided_
as_strided_scatter as_subclass asin asin_ asinh asinh_ atan atan2 atan2_ atan_ atanh atanh_ baddbmm baddbmm_
bernoulli bernoulli_ bincount bitwise_and bitwise_and_ bitwise_left_shift bitwise_left_shift_ bitwise_not
bitwise_not_ bitwise_or bitwise_or_ bitwise_right_shift bitwise_right_shift_ bitwise_xor bitwise_xor_ cauchy_
ccol_indices cdouble ceil ceil_ cfloat chalf cholesky cholesky_inverse cholesky_solve clamp_max clamp_max_
clamp_min clamp_min_ clip_ coalesce col_indices conj conj_physical conj_physical_ const_data_ptr copysign
copysign_ corrcoef cos cos_ cosh cosh_ count_nonzero cov cross crow_indices cummax cummin cumprod cumprod_
cumsum cumsum_ data_ptr deg2rad deg2rad_ dense_dim dequantize det diag diag_embed diagflat diagonal
diagonal_scatter diff digamma digamma_ dim_order dist divide divide_ dsplit eig element_size eq_ equal erf
erf_ erfc erfc_ erfinv erfinv_ exp2 exp2_ exp_ expm1 expm1_ exponential_ fill_diagonal_ fix fix_ fliplr flipud
float_power float_power_ floor floor_ floor_divide floor_divide_ fmax fmin fmod fmod_ frac frac_ frexp gcd
gcd_ ge_ geometric_ geqrf ger get_device grad_dtype grad_fn greater greater_ greater_equal greater_equal_ gt_
hardshrink hash_tensor heaviside heaviside_ histc histogram hsplit hypot hypot_ i0 i0_ igamma igamma_ igammac
igammac_ imag index index_add index_add_ index_copy index_copy_ index_fill index_fill_ index_put index_put_
index_reduce index_reduce_ indices inner int_repr inverse ipu is_coalesced is_complex is_conj is_cpu
is_distributed is_floating_point is_inference is_ipu is_maia is_meta is_mkldnn is_mps is_mtia is_neg is_nested
is_nonzero is_pinned is_quantized is_same_size is_set_to is_shared is_signed is_sparse is_sparse_csr is_vulkan
is_xla is_xpu isclose isfinite isinf isnan isneginf isposinf isreal istft itemsize kron kthvalue layout lcm
lcm_ ldexp ldexp_ le_ lerp lerp_ less less_ less_equal less_equal_ lgamma lgamma_ log10 log10_ log1p log1p_
log2 log2_ log_ log_normal_ logaddexp logaddexp2 logcumsumexp logdet logical_and_ logical_not_ logical_or_
logical_xor_ logit logit_ logsumexp lstsq lt_ lu lu_solve mH mT map2_ map_ masked_fill_ masked_scatter
masked_scatter_ matmul matrix_exp matrix_power maximum median minimum mode module_load moveaxis movedim msort
mtia multinomial multiply multiply_ mvlgamma mvlgamma_ name nan_to_num nan_to_num_ nanmean nanmedian
nanquantile nansum narrow narrow_copy nbytes ne_ neg neg_ negative negative_ nelement new new_empty_strided
new_full nextafter nextafter_ nonzero_static not_equal not_equal_ orgqr ormqr outer output_nr pinverse
polygamma polygamma_ positive pow_ prelu prod put put_ q_per_channel_axis q_per_channel_scales
q_per_channel_zero_points q_scale q_zero_point qr qscheme quantile rad2deg rad2deg_ random_ real reciprocal
reciprocal_ record_stream register_post_accumulate_grad_hook reinforce relu_ remainder remainder_ renorm
renorm_ repeat_interleave reshape_as resize resize_ resize_as resize_as_ resize_as_sparse_
resolve_conj resolve_neg retains_grad roll rot90 round round_ row_indices rsqrt_ scatter scatter_ scatter_add
scatter_add_ scatter_reduce scatter_reduce_ select select_scatter set_ sgn sgn_ share_memory_ sigmoid_ sign
sign_ signbit sin sin_ sinc sinc_ sinh sinh_ slice_inverse slice_scatter slogdet smm solve sparse_dim
sparse_mask sparse_resize_ sparse_resize_and_clear_ split_with_sizes sqrt_ square_ squeeze_ sspaddmm stft
storage storage_offset storage_type subtract subtract_ sum_to_size svd swapaxes_ swapdims swapdims_ symeig t_
take take_along_dim tan tan_ tanh_ tensor_split to_dense to_mkldnn to_padded_tensor to_sparse to_sparse_bsc
to_sparse_bsr to_sparse_coo to_sparse_csc to_sparse_csr trace transpose_ triangular_solve tril tril_ triu
triu_ true_divide_ trunc trunc_ unflatten unfold unique unique_consecutive unsafe_chunk unsafe_split
unsafe_split_with_sizes unsqueeze_ untyped_storage values vdot volatile vsplit where xlogy xlogy_ xpu
"""

TENSOR: dict[str, str] = {
    **dict.fromkeys(_OTHERS.split(), ""),
    **dict.fromkeys(("bfloat16", "double", "half"), f"{_DTYPES}x.float()"),
    **dict.fromkeys(("byte", "char", "int", "short"), f"{_DTYPES}x.long()"),
    **dict.fromkeys(("cpu", "cuda", "device", "is_cuda", "pin_memory"), _CPU),
    **dict.fromkeys(("contiguous", "is_contiguous"), _LAYOUT),
    **dict.fromkeys(("bmm", "dot", "mm", "mv"), "write x @ y"),
    **dict.fromkeys(("new_empty", "new_zeros"), "write fnn.tensor(np.zeros(shape), dtype=x.dtype)"),
    **{name: f"write np.{name}(x.detach().numpy(), y.detach().numpy())" for name in ("allclose", "isclose")},
    **{name: f"{_ARRAY}{name}(x.detach().numpy()))" for name in ("ceil", "floor", "round", "sign", "trunc")},
    **{name: f"{_ARRAY}{name}(x.detach().numpy(), dim))" for name in ("cumprod", "cumsum", "prod")},
    "absolute": "write x.abs()",
    "amax": "write x.max(axis=dim)",
    "amin": "write x.min(axis=dim)",
    "argsort": "write np.argsort(x.detach().numpy(), dim), ascending as in torch",
    "clamp_max": "write x.clamp(max=...)",
    "clamp_min": "write x.clamp(min=...)",
    "divide": "write x / y",
    "equal": "write x.shape == y.shape and bool((x == y).all())",
    "isfinite": "write abs(x) < np.inf",
    "isinf": "write abs(x) == np.inf",
    "isnan": "write x != x",
    "logsumexp": "write m = x.detach().max(dim, keepdim=True)[0], then m.squeeze(dim) + (x - m).exp().sum(dim).log()",
    "multiply": "write x * y",
    "new_full": "write fnn.tensor(np.full(shape, value), dtype=x.dtype)",
    "new_ones": "write fnn.tensor(np.ones(shape), dtype=x.dtype)",
    "new_tensor": "write fnn.tensor(data), of the dtype of data, or with dtype=x.dtype",
    "normal_": "write x.data[...] = rng.normal(size=x.shape), NumPy's rng",
    "reciprocal": "write 1 / x",
    "sort": "write i = np.argsort(x.detach().numpy()), ascending as in torch; a vector sorted is x[i]",
    "subtract": "write x - y",
    "topk": "write i = np.argsort(-x.detach().numpy())[..., :k], largest first; of a vector the values are x[i]",
    "uniform_": "write x.data[...] = rng.random(x.shape), NumPy's rng",
    "where": "write fnn.ops.where(condition, x, y)",
    "add": "write x + y",
    "as_strided": "write x.reshape, x.permute or x[...]",
    "astype": "write x.float(), x.long() or x.bool(); of an array, x.numpy().astype(...)",
    "copy": "write x.clone(); an array is x.numpy().copy()",
    "detach_": "write x = x.detach()",
    "div": "write x / y",
    "dot_": "write x @ y",
    "expand_as": "write x.expand(y.shape)",
    "gather": "write x[np.arange(len(x)), index] for one number of each row",
    "index_select": "write x[index] for dim 0, x[:, index] for dim 1",
    "is_leaf": "a Tensor that was computed has no grad, leaves have",
    "masked_fill": "write fnn.ops.where(mask, value, x)",
    "masked_select": "write x[mask]",
    "mul": "write x * y",
    "neg": "write -x",
    "negative": "write -x",
    "ndimension": "write x.ndim",
    "nonzero": "write np.argwhere(x.detach().numpy())",
    "set_conv_algorithm": "write with fnn.conv_algorithm(name): around what is computed so",
    "norm": "write (x * x).sum().sqrt()",
    "permute_": "write x = x.permute(...)",
    "ravel": "write x.flatten()",
    "register_hook": "write a callback with on_grad_computed, or change x.grad after backward()",
    "retain_grad": "only leaves keep one: write e = fnn.tensor(np.zeros(x.shape), requires_grad=True) and x = x + e "
    "before x is used, then e.grad is the gradient of x",
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
    if name.endswith("_") and where in ("fastnn", "fastnn.nn.functional"):
        places = ("nn.functional", "ops")
        found = [place for place in places if name[:-1] in sys.modules[f"fastnn.{place}"].__all__]
        return f"write x = fnn.{found[0]}.{name[:-1]}(x)" if found else None
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
    said = TABLES[where].get(name) or _elsewhere(where, name)
    if where == "fastnn":
        said = said or TENSOR.get(name)  # torch has most of them twice
    if not said:
        from fastnn.torch_only import NAMES  # not with fastnn: only an error needs it

        torchs = name in NAMES.get(where, "").split() or name in TENSOR
        said = "it is not in fastnn" + ("" if torchs else meant(name, known))
    return AttributeError(f"{short} has no {name!r}: {said}")


class _Missing:
    """Stands in Tensor for a name of torch.Tensor that there is not. (A ``__getattr__`` would slow down all others.)"""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Any) -> Any:
        raise missing("Tensor", self._name)


if TYPE_CHECKING:

    class MissingNames:
        """The last base of Tensor: the names of TENSOR that nothing before it has."""

else:
    MissingNames = type("MissingNames", (), {"__slots__": (), **{name: _Missing(name) for name in TENSOR}})

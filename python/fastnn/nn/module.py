"""Module: what has parameters and a forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from fastnn.arrays import as_float32, columns_first, copied, positive_int
from fastnn.nn import mode
from fastnn.nn.predict import predict
from fastnn.nn.summary import summary
from fastnn.tensor import Parameter, no_grad

Array = npt.NDArray[Any]


class LoadResult(NamedTuple):
    """Names that load_state_dict(strict=False) skipped."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """Base class of layers and models: set parameters and layers as attributes, and write ``forward``.

    Parameters, and Modules inside, are found where they stand: every attribute that is a Parameter or a Module, in the
    order in which they were set. Lists and dicts of Modules belong in ModuleList and ModuleDict. Arrays that are state
    but not trained are named in the class attribute ``buffer_names``, Parameters whose columns are to be dense in
    memory in ``columns_first``. ``batch_axis``, in the class or an instance, says on which axis samples lie in what the
    module is called with: 0, or 1 for recurrent layers without ``batch_first``.

    >>> import numpy as np
    >>> from fastnn import nn
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         self.first, self.second = nn.Linear(3, 8), nn.Linear(8, 2)
    ...
    ...     def forward(self, x):
    ...         return self.second(abs(self.first(x)))
    >>> model = Net()
    >>> model(np.zeros((5, 3))).shape, model.num_parameters()
    ((5, 2), 50)
    >>> list(model.state_dict())
    ['first.weight', 'first.bias', 'second.weight', 'second.bias']
    """

    buffer_names: tuple[str, ...] = ()
    columns_first: tuple[str, ...] = ()
    batch_axis: int = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; to be written by each class."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def joined(self, following: Module) -> Callable[[Any], Any] | None:
        """A function that gives to the bit what ``following`` makes of this Module's output, in one pass over memory;
        None where there is none. Sequential asks for it."""
        return None

    def extra_repr(self) -> str:
        """What repr() shows between the brackets."""
        return ""

    @property
    def training(self) -> bool:
        """Whether the Module is in training mode (True for a new one) rather than in evaluation mode."""
        return mode.get(self)

    @training.setter
    def training(self, training: bool) -> None:
        mode.put(self, bool(training))

    # What is inside

    def _layers(self) -> Iterator[tuple[str, Module]]:
        """Modules directly inside, by name, in order, under every name they have. Containers say so in their way."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the Modules directly inside, each once."""
        seen: set[int] = set()
        for name, layer in self._layers():
            if id(layer) not in seen:
                seen.add(id(layer))
                yield name, layer

    def children(self) -> Iterator[Module]:
        """The Modules directly inside."""
        return (layer for _, layer in self.named_children())

    def _walk(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(name, module) of this and of all inside, under every name they have, a module before what is inside it."""
        yield prefix, self
        for name, layer in self._layers():
            yield from layer._walk(f"{prefix}.{name}" if prefix else name)

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of this Module, whose name is "", and of all inside, each once."""
        seen: set[int] = set()
        for name, module in self._walk():
            if id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """This Module and all inside, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, Parameter) of all, each once, in torch's order: a module's own before those of modules inside it."""
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield f"{prefix}.{name}" if prefix else name, value

    def parameters(self) -> Iterator[Parameter]:
        """All Parameters, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """(name, array) of the state that is not trained."""
        for prefix, module in self.named_modules():
            for name in module.buffer_names:
                if getattr(module, name) is not None:
                    yield f"{prefix}.{name}" if prefix else name, getattr(module, name)

    def num_parameters(self) -> int:
        """How many numbers the Parameters hold."""
        return sum([parameter.size for parameter in self.parameters()])

    # Modes

    def train(self, mode: bool = True) -> Self:
        """Sets ``training`` here and asks every Module inside to do the same; returns the Module."""
        self.training = bool(mode)
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """train(False): dropout passes everything, batch normalisation uses its running statistics."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forgets the gradients: ``grad`` of every Parameter becomes None."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether the Parameters get gradients from now on; returns the Module."""
        for parameter in self.parameters():
            parameter.requires_grad = bool(requires_grad)
        return self

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls ``fn`` with every module inside, the innermost first, then with this one; returns the Module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # State

    def _state(self) -> Iterator[tuple[str, Module, str, Array]]:
        """(name, module, attribute, array): torch's order, and like there every name of what is shared."""
        for prefix, module in self._walk():
            own = [(name, value.data) for name, value in vars(module).items() if isinstance(value, Parameter)]
            own += [(name, getattr(module, name)) for name in module.buffer_names]
            for name, value in own:
                if value is not None:
                    yield f"{prefix}.{name}" if prefix else name, module, name, value

    def state_dict(self) -> dict[str, Array]:
        """Copies of all Parameters and buffers, C-contiguous, by name, in torch's order under torch's names."""
        return {name: np.array(array, order="C") for name, _, _, array in self._state()}  # safetensors needs "C"

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copies arrays, or torch tensors, into the Parameters and buffers of the same names.

        Args:
            state_dict: from name to array, such as ``state_dict()`` gives here or in torch.
            strict: whether missing and unexpected names are errors. Default True. Shapes must always match.

        Everything is checked before anything is written. Returns (missing_keys, unexpected_keys). Raises ValueError
        that lists all that is wrong, TypeError when ``state_dict`` is no mapping.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: state_dict is a {type(state_dict).__name__}, expected a mapping")
        wanted = {name: (module, attribute, array) for name, module, attribute, array in self._state()}
        missing = [name for name in wanted if name not in state_dict]
        unexpected = [str(name) for name in state_dict if name not in wanted]
        wrong = []
        if strict and missing:
            wrong.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            wrong.append(f"unexpected: {', '.join(unexpected)}")
        loaded = {}
        for name in [name for name in wanted if name in state_dict]:
            try:
                loaded[name] = _as_array(state_dict[name], wanted[name][2], name)
            except (TypeError, ValueError) as error:
                wrong.append(str(error))
        if wrong:
            raise ValueError(f"load_state_dict: {type(self).__name__} and state_dict differ\n  " + "\n  ".join(wrong))
        for name, array in loaded.items():
            _write(*wanted[name], array)
        return LoadResult(missing, unexpected)

    # Use

    def predict(self, x: Any, batch_size: int | None = None, batch_axis: int | None = None) -> Any:
        """The outputs for ``x`` as plain arrays: in eval mode, nothing recorded, in batches.

        Args:
            x: array-like; a list of ragged sequences (T_n, ...); or a tuple of these, for ``model(*x)``.
            batch_size: samples at a time. Default None: 256, or all at once where the model cannot be cut: where an
                output does not follow the number of samples, and where a recurrent layer reads them as time.
            batch_axis: where samples lie in x; of what has fewer axes they are on axis 0. Default None: that of the
                model, ``batch_axis``.

        Returns an array, or a tuple, list or dict of arrays like what the model returns; samples are on the axis on
        which the model puts them. The same bits whatever the batch size: before the first of several batches the model
        is tried on 2 and on 3 samples. Raises ValueError where ``batch_size`` would cut a sequence, or outputs that
        cannot be joined, TypeError for sparse and masked arrays.
        """
        if batch_size is not None:
            positive_int(batch_size, "predict", "batch_size")
        with mode.evaluation(self), no_grad():
            return predict(self, x, batch_size, batch_axis)

    def summary(self, input_shape: tuple[int, ...]) -> str:
        """A table of the layers with output shapes and numbers of parameters, from one run on zeros.

        ``input_shape`` is that of one sample; the model sees a batch of one. Print the result.

        >>> from fastnn import nn
        >>> print(nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 2)).summary((3,)))
        layer       output  parameters
        0 (Linear)  (1, 8)          32
        1 (Linear)  (1, 2)          18
        total       (1, 2)          50
        """
        with mode.evaluation(self), no_grad():
            return summary(self, input_shape)

    def __repr__(self) -> str:
        lines = [f"({name}): {layer!r}".replace("\n", "\n  ") for name, layer in self._layers()]
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        return "\n  ".join([f"{type(self).__name__}({extra}", *lines]) + "\n)"


def _as_array(value: Any, like: Array, name: str) -> Array:
    """``value``, which may be a torch tensor, as an array of the shape and dtype of ``like``."""
    if hasattr(value, "detach"):
        value = value.detach()
    if hasattr(value, "is_floating_point"):  # torch's; bfloat16 has no NumPy type
        value = (value.float() if value.is_floating_point() else value).cpu().numpy()
    if np.shape(value) != like.shape:
        raise ValueError(f"shape: {name} is {np.shape(value)} in state_dict, {like.shape} in the model")
    if like.dtype == np.float32:
        return as_float32(value, "dtype", name)
    array = np.asarray(value)
    if not np.can_cast(array.dtype, like.dtype, "same_kind"):
        raise TypeError(f"dtype: {name} is {array.dtype} in state_dict, {like.dtype} in the model")
    return array.astype(like.dtype)


def _write(module: Module, attribute: str, array: Array, value: Array) -> None:
    """Into the array where it can be written, so that an optimizer's view of it stays valid."""
    if array.flags.writeable:
        np.copyto(array, value)
    elif isinstance(getattr(module, attribute), Parameter):
        getattr(module, attribute).data = columns_first(value) if attribute in module.columns_first else copied(value)
    else:
        setattr(module, attribute, np.array(value))

"""Module: what has parameters and a forward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from fastnn.arrays import positive_int
from fastnn.graph.summary import Summary
from fastnn.nn import mode as modes
from fastnn.nn import state
from fastnn.nn.arguments import shown
from fastnn.nn.attributes import Attributes, check_collections
from fastnn.nn.forward_inputs import seen
from fastnn.nn.predict import predict
from fastnn.nn.state import LoadResult
from fastnn.nn.summary import summary
from fastnn.nn.tree import Array, joined, layers, once, own_buffers, own_parameters, own_state, walk
from fastnn.tape import mode as tape
from fastnn.tape import no_grad
from fastnn.value import Parameter

Returned = TypeVar("Returned", covariant=True)


class _HasForward(Protocol[Returned]):
    def forward(self, *args: Any, **kwargs: Any) -> Returned: ...


class Module(Attributes):
    """Base class of layers and models: set parameters and layers as attributes, and write ``forward``.

    Parameters, and Modules inside, are found where they stand: every attribute that is a Parameter or a Module, in the
    order in which they were set. Lists and dicts of Modules belong in ModuleList and ModuleDict; in a plain list, tuple
    or dict they raise TypeError. Arrays that are state but not trained are set by ``register_buffer`` or named in the
    class attribute ``buffer_names``, Parameters that may be None in ``parameter_names``, those whose columns are to be
    dense in memory in ``columns_first``. Over a Parameter, a Module or a buffer only its like or None can be assigned.

    ``batch_axis``, in the class or an instance, says on which axis samples lie in what the module is called with: 0,
    or 1 for recurrent layers without ``batch_first``.

    A ``forward`` of yours gets Tensors where the caller gives arrays (read-only, floats as float32, integers as
    int64, bool as it is), so methods mean what they mean in torch: ``x.transpose(0, 1)``, ``x.max(1)``.

    A method that a Module inside overrides is asked: train, requires_grad_, zero_grad, parameters, named_parameters,
    state_dict, load_state_dict.

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

    columns_first: tuple[str, ...] = ()
    batch_axis: int = 0
    _reads_time: bool = False  # whether it has an axis of time
    _unnamed: ClassVar[int] = 0  # so many of the constructor's arguments repr shows without their names
    _shows_defaults: ClassVar[bool] = True  # whether it shows those that have their defaults
    _sees_tensors: ClassVar[bool] = False  # whether forward is somebody else's than the package's

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, value in vars(cls).items():
            if isinstance(value, (Module, Parameter)):
                raise TypeError(
                    f"{cls.__name__}: {name} is a {type(value).__name__} in the class, which all objects would share "
                    "and none would train or save: set it in __init__"
                )
        cls._sees_tensors = getattr(cls.forward, "__module__", "").partition(".")[0] != "fastnn"

    if TYPE_CHECKING:
        # Gives what forward says that it returns, of any arguments: a forward(self, x: Tensor) is given arrays too.
        def __call__(self: _HasForward[Returned], *args: Any, **kwargs: Any) -> Returned: ...
    else:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if self._sees_tensors:
                args, kwargs = seen(type(self).__name__, args, kwargs)
            if tape.recorder is not None:
                return tape.recorder.visit(self, args, kwargs)
            return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; to be written by each class."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def extra_repr(self) -> str:
        """What repr() shows between the brackets: the constructor's arguments that are kept under their names and are
        numbers, texts or short lists of them. Of a layer that a user derived from one of fastnn's, that one's."""
        return shown(self, self._unnamed, self._shows_defaults)

    @property
    def training(self) -> bool:
        """Whether the Module is in training mode (True for a new one) rather than in evaluation mode."""
        return modes.get(self)

    @training.setter
    def training(self, training: bool) -> None:
        modes.put(self, bool(training))

    # What is inside

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the Modules directly inside, each once."""
        return once(layers(self))

    def children(self) -> Iterator[Module]:
        """The Modules directly inside."""
        return (layer for _, layer in self.named_children())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of this Module, whose name is "", and of all inside, each once."""
        return walk(self, seen=set())

    def modules(self) -> Iterator[Module]:
        """This Module and all inside, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """(name, Parameter) of all, each once, in torch's order: a module's own before those of modules inside it."""
        inner = (
            (joined(name, below), parameter)
            for name, child in self.named_children()
            for below, parameter in child.named_parameters()
        )
        return once(chain(own_parameters(self), inner))

    def parameters(self) -> Iterator[Parameter]:
        """All Parameters, each once."""
        if _overrides(self, "named_parameters"):
            return (parameter for _, parameter in self.named_parameters())
        inner = (("", parameter) for child in self.children() for parameter in child.parameters())
        return (parameter for _, parameter in once(chain(own_parameters(self), inner)))

    def named_buffers(self) -> Iterator[tuple[str, Array]]:
        """(name, array) of the state that is not trained."""
        return once(
            (joined(prefix, name), array)
            for prefix, module in self.named_modules()
            for name, array in own_buffers(module)
        )

    def num_parameters(self) -> int:
        """How many numbers the Parameters hold."""
        return sum([parameter.size for parameter in self.parameters()])

    # Modes

    def train(self, mode: bool = True) -> Self:
        """Sets ``training`` here and asks every Module inside to do the same; returns the Module."""
        check_collections(self)
        modes.put(self, bool(mode))
        for child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """train(False): dropout passes everything, batch normalisation uses its running statistics."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forgets the gradients: ``grad`` of every Parameter becomes None."""
        children, own = _asked(self)
        for parameter in own:
            parameter.grad = None
        for child in children:
            child.zero_grad()

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether the Parameters get gradients from now on; returns the Module."""
        children, own = _asked(self)
        for parameter in own:
            parameter.requires_grad = bool(requires_grad)
        for child in children:
            child.requires_grad_(requires_grad)
        return self

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls ``fn`` with every module inside, the innermost first, then with this one; returns the Module."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    # State

    def state_dict(self) -> dict[str, Array]:
        """Copies of all Parameters and buffers, C-contiguous, by name, in torch's order under torch's names."""
        arrays = {name: np.array(array, order="C") for name, array in own_state(self)}  # safetensors needs "C"
        for name, layer in layers(self):
            arrays |= {joined(name, below): array for below, array in layer.state_dict().items()}
        return arrays

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copies arrays, or torch tensors, into the Parameters and buffers of the same names.

        Args:
            state_dict: from name to array, such as ``state_dict()`` gives here or in torch.
            strict: whether missing and unexpected names are errors. Default True. Shapes must always match.

        Everything is checked before anything is written. Returns (missing_keys, unexpected_keys). Raises ValueError
        that lists all that is wrong, also where two names of one Parameter have different values, and TypeError when
        ``state_dict`` is no mapping.
        """
        return state.load(self, state_dict, strict, Module.load_state_dict)

    # Use

    def predict(self, x: ArrayLike, batch_size: int | None = None, batch_axis: int | None = None) -> Any:
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
        with modes.evaluation(self), no_grad():
            return predict(self, x, batch_size, batch_axis)

    def summary(self, input_shape: Any) -> Summary:
        """A table of the layers, and of the ops called between them, in the order of the calls.

        Args:
            input_shape: of one sample, or a tuple of shapes for a model of several inputs; the model sees
                (1, *input_shape), integers where an Embedding wants them. Arrays, samples included, where values
                matter, such as lengths.

        Columns: what it gives, its parameters ("shared" where a row above has them), multiply-adds, how much of the
        input an element sees along each axis of space (and after a colon how far apart in it neighbours are), and the
        memory of activations in KiB, all of the ops' results but for views. Nothing is computed, unless the model looks
        at values: then it is run on zeros. Print the result, or look at its ``rows`` (graph.summary.Row),
        ``parameters``, ``multiply_adds`` and ``memory``. Raises ValueError for what is no shape.

        >>> from fastnn import nn
        >>> print(nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 2)).summary((3,)))
        layer       output  parameters  multiply-adds  sees  KiB
        0 (Linear)  (1, 8)          32             24        0.0
        1 (Linear)  (1, 2)          18             16        0.0
        total       (1, 2)          50             40        0.0
        """
        with modes.evaluation(self), no_grad():
            return summary(self, input_shape)

    def __repr__(self) -> str:
        lines = [f"({name}): {layer!r}".replace("\n", "\n  ") for name, layer in layers(self)]
        extra = self.extra_repr()
        if not lines:
            return f"{type(self).__name__}({extra})"
        return "\n  ".join([f"{type(self).__name__}({extra}", *lines]) + "\n)"


def _overrides(module: Module, method: str) -> bool:
    return getattr(type(module), method) is not getattr(Module, method)


def _asked(module: Module) -> tuple[Iterable[Module], Iterable[Parameter]]:
    """Whom to ask for what concerns all Parameters: the Modules inside, and the Parameters of this one.

    No Modules where the class says which Parameters count, as torch has it.
    """
    if _overrides(module, "parameters") or _overrides(module, "named_parameters"):
        return (), module.parameters()
    return module.children(), [parameter for _, parameter in own_parameters(module)]

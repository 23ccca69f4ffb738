"""GraphModule: a Module whose forward is a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from fastnn.graph.graph import Graph
from fastnn.nn.attributes import Attributes, check_name, writable
from fastnn.nn.forward_inputs import seen
from fastnn.nn.module import Module
from fastnn.nn.recurrent_calls import RECURRENT, is_listening, note_call
from fastnn.value import Parameter, Tensor

_DEEPEST = 100  # dots in a name


class Place(NamedTuple):
    """A Parameter, or the array of a buffer, and its name; several for what is shared."""

    name: str
    held: Any
    columns_first: bool = False
    saved: bool = True


def _taken(name: str) -> str:
    return f"GraphModule: the name {name!r:.200} is taken: it has that itself; rename what the model has under it"


class _Fixed(Module):
    """A part of a graph's state, by name. What it computes is in the graph, so no Module in it can be another one."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(vars(self).get(name), Attributes):
            raise TypeError(
                f"GraphModule: {name} is computed by the graph; only Parameters and buffers can be replaced"
            )
        if name in self._shared and value is not vars(self).get(name):
            raise TypeError(
                f"GraphModule: {name} is shared with {self._shared[name]}, which the graph reads as well; write "
                f"{name}.data[...] = value, or load_state_dict, for other numbers"
            )
        super().__setattr__(name, value)

    _shared: Mapping[str, str] = MappingProxyType({})  # names of what has another name as well, and that one

    def __delattr__(self, name: str) -> None:
        if isinstance(vars(self).get(name), Attributes):
            raise TypeError(f"GraphModule: {name} is computed by the graph and cannot be deleted")
        super().__delattr__(name)

    def _put(self, place: Place, name: str) -> None:
        """Keeps what is at a place. Raises ValueError for a name that is taken."""
        check_name(name, "GraphModule")
        if name in vars(self) or hasattr(type(self), name):
            raise ValueError(_taken(place.name))
        if not isinstance(place.held, Parameter):
            self.register_buffer(name, place.held, persistent=place.saved)
            return
        setattr(self, name, place.held)
        if place.columns_first:
            vars(self)["columns_first"] = (*self.columns_first, name)

    def _inside(self, name: str) -> Scope:
        """The part of that name, made where there is none."""
        check_name(name, "GraphModule")
        part = vars(self).get(name)
        if part is None and not hasattr(type(self), name):
            part = vars(self)[name] = Scope()
        if not isinstance(part, Scope):
            raise ValueError(_taken(name))
        return part


class Scope(_Fixed):
    """What stands for a Module of the model that was traced: its Parameters and buffers. It has no forward."""


class _Held:
    """A graph, and where the Module has now what the graph holds by name."""

    def __init__(self, graph: Graph, places: dict[str, tuple[Scope | None, str]]) -> None:
        self.graph = graph
        self.places = [(value, *places[name]) for value, name in graph.names.items()]

    def now(self, outermost: Module, training: bool) -> dict[int, Any]:
        """What the graph holds by name; in training, buffers that can be written."""
        found = {}
        for value, scope, name in self.places:
            module = outermost if scope is None else scope
            buffer = training and name in module.buffer_names
            found[value] = writable(module, name) if buffer else getattr(module, name)
        return found


class GraphModule(_Fixed):
    """A graph as a model: called like the function that was traced, with its Parameters and buffers under their names.

    Args:
        graph: a Graph, as ``fnn.trace`` or ``fnn.rewrite`` gives it: what is computed in both modes.

    It is what ``fnn.load`` gives for a model that was saved with an example; there, ``train()`` goes over to a second
    graph, traced in training mode, in which dropout drops and batch normalisation moves its running statistics. Where
    there could be none, because forward then does what no graph holds, ``train()`` raises ValueError with the reason.
    Calls give Tensors, as those of a class of yours do. Parameters and buffers may be replaced by their like, Modules
    inside cannot: what they compute is in the graph.

    Sizes of inputs that the trace found free (``Graph.free``) may be any; ValueError for others.

    >>> import numpy as np, fastnn as fnn
    >>> from fastnn import nn
    >>> model = nn.GraphModule(fnn.trace(nn.Sequential(nn.Linear(3, 8), nn.ReLU()), (1, 3)))
    >>> model.predict(np.zeros((5, 3))).shape, list(model.state_dict())
    ((5, 8), ['0.weight', '0.bias'])
    """

    _serving: Any = None  # a _Held
    _trained: _Held | None = None
    _refusal = ""

    def __init__(self, graph: Graph) -> None:
        if not isinstance(graph, Graph):
            raise TypeError(f"GraphModule: graph is a {type(graph).__name__}, expected a Graph, such as trace gives")
        for value, held in graph.held.items():
            if value not in graph.names and isinstance(held, Tensor) and held.requires_grad:
                raise ValueError(
                    f"GraphModule: the graph holds a Parameter of shape {held.shape} that is in no Module, so it would "
                    "have no name; trace a Module that has it"
                )
        self._hold(graph, None, "", [Place(name, graph.held[value]) for value, name in graph.names.items()])

    @classmethod
    def _made(
        cls, graph: Graph, training: Graph | None, refusal: str, places: Sequence[Place], batch_axis: int
    ) -> Self:
        """One with a graph for each mode, one for both where ``training`` is None, or none for training but the reason
        (``refusal``); ``places`` is all of the state, in order, and has all that the graphs hold by name."""
        module = cls.__new__(cls)
        module._hold(graph, training, refusal, places)
        module.batch_axis = batch_axis
        return module

    def _share(self, places: Sequence[Place], known: Mapping[str, tuple[Scope | None, str]]) -> None:
        """Notes which names are of one Parameter or array."""
        first: dict[int, str] = {}
        for place in places:
            other = first.setdefault(id(place.held), place.name)
            for here, there in ((place.name, other), (other, place.name)):
                if here != there:
                    scope, name = known[here]
                    part = scope or self
                    vars(part)["_shared"] = {**part._shared, name: there}

    def _hold(self, graph: Graph, training: Graph | None, refusal: str, places: Sequence[Place]) -> None:
        self._refusal, known = refusal, dict[str, tuple[Scope | None, str]]()
        for place in places:
            *outer, name = place.name.split(".")
            if len(outer) > _DEEPEST:
                raise ValueError(f"GraphModule: the name {place.name!r:.200} has more than {_DEEPEST} dots")
            inner: Scope | None = None  # of the GraphModule itself
            for part in outer:
                inner = (inner or self)._inside(part)
            (inner or self)._put(place, name)
            known[place.name] = inner, name
        self._share(places, known)
        self._serving = _Held(graph, known)
        self._trained = None if training is None else _Held(training, known)
        self._reads_time = any([call.op.name in RECURRENT for call in graph.calls])
        if refusal:
            self.eval()

    @property
    def num_embeddings(self) -> int | None:
        """Rows of the smallest table that is looked up: of what integers it can be called with."""
        graph = self._serving.graph
        tables = [call.inputs[1] for call in graph.calls if call.op.name == "embedding"]
        return min([graph.values[table].shape[0] for table in tables if table is not None], default=None)

    def graph_of(self, training: bool) -> Graph:
        """The graph that is run in this mode."""
        return (self._trained if training and self._trained is not None else self._serving).graph

    def train(self, mode: bool = True) -> Self:
        if mode and self._refusal:
            raise ValueError(f"GraphModule: it cannot be trained: {self._refusal}")
        return super().train(mode)

    def forward(self, *inputs: Any) -> Any:
        training = self.training
        for _, part, _ in self._serving.places:
            if part is not None and part.training != training:
                raise RuntimeError(
                    f"GraphModule: a part is in {'training' if part.training else 'evaluation'} mode alone; the graph "
                    "has one mode for all: call train() or eval() of the whole"
                )
        held = self._trained if training and self._trained is not None else self._serving
        given, _ = seen("GraphModule", inputs, {})
        return held.graph(*given, held=held.now(self, training), watch=note_call(self) if is_listening() else None)

    def __repr__(self) -> str:
        return f"GraphModule({self._serving.graph})"

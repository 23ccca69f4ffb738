"""OpLayer: a layer that is one op and its options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar

from fastnn.nn.module import Module
from fastnn.ops.op import Op


class OpLayer(Module):
    """Calls ``op`` with what it is called with, and with the attributes that the constructor has set under the names of
    its arguments; those that the op does not know (``inplace``) are left out."""

    op: ClassVar[Op[Any]]
    _options: ClassVar[list[str]]  # in the order of the op
    _values: ClassVar[Callable[[Any], Any]]  # of them; where there is one, the value itself
    _call: ClassVar[Callable[..., Any]]  # op, found in less time

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "op"):
            own = inspect.signature(cls.__init__).parameters
            cls._options = [name for name in cls.op.arguments if name in own]
            cls._call = staticmethod(cls.op)
            if cls._options:
                cls._values = attrgetter(*cls._options)

    def forward(self, *arrays: Any, **named: Any) -> Any:
        if named:
            return self._call(*arrays, **named, **{name: getattr(self, name) for name in self._options})
        if not self._options:
            return self._call(*arrays)
        values = type(self)._values(self)
        return self._call(*arrays, values) if len(self._options) == 1 else self._call(*arrays, *values)

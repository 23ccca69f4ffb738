"""OpLayer: a layer that is one op and its options."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

from fastnn.nn.module import Module
from fastnn.ops.op import Op


class OpLayer(Module):
    """Calls ``op`` with what it is called with, and with the attributes that the constructor has set under the names of
    its arguments; those that the op does not know (``inplace``) are left out."""

    op: ClassVar[Op[Any]]
    _options: ClassVar[list[str]]  # in the order of the op

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "op"):
            own = inspect.signature(cls.__init__).parameters
            cls._options = [name for name in cls.op.arguments if name in own]

    def forward(self, *arrays: Any) -> Any:
        return type(self).op(*arrays, *[getattr(self, name) for name in self._options])

    def extra_repr(self) -> str:
        return ", ".join([f"{name}={getattr(self, name)!r}" for name in self._options])

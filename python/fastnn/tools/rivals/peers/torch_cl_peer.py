"""PyTorch eager with channels-last memory, its faster layout for most convolutions; rows without images are torch's."""

from __future__ import annotations

import torch

from ..row import Row
from . import torch_peer
from .torch_peer import Calls, set_threads

__all__ = ["build", "set_threads", "version"]

torch_peer.FORMAT = torch.channels_last


def version() -> str:
    return f"torch {torch.__version__}, channels last"


def build(row: Row) -> Calls:
    return torch_peer.build(row) if len(row.x) == 4 else {}

from __future__ import annotations

from typing import Any, ClassVar

from fastnn import ops
from fastnn.nn.module import Module
from fastnn.nn.op_layer import OpLayer
from fastnn.ops.checks import check_reduction
from fastnn.ops.cross_entropy import check_smoothing
from fastnn.ops.ctc import check_blank
from fastnn.ops.pointwise_loss import check_delta

__all__ = [
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "L1Loss",
    "MSELoss",
]


class CrossEntropyLoss(Module):
    """-log(softmax(input)) of the target class, see ops.cross_entropy for shapes, arguments and errors.

    >>> import fastnn as fnn
    >>> fnn.nn.CrossEntropyLoss()(fnn.Tensor([[0.0, 0.0]]), [1])
    Tensor(0.6931472)
    """

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight = weight
        self.ignore_index = ignore_index
        self.reduction = check_reduction(reduction, "CrossEntropyLoss")
        self.label_smoothing = check_smoothing(label_smoothing)

    def forward(self, input: Any, target: Any) -> Any:
        return ops.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, label_smoothing=self.label_smoothing
        )


class CTCLoss(Module):
    """-log of the probability of labels that nobody has aligned with the input (Graves et al. 2006).

    Behind a LogSoftmax over the classes; see ops.ctc_loss for shapes, gradient and errors.

    Args:
        blank: the class that stands for no label. Default 0.
        reduction: "mean" (default), "sum" or "none".
        zero_infinity: whether infinite losses and their gradients are zero. Default False.

    >>> import numpy as np, fastnn as fnn
    >>> log_probs = fnn.Tensor(np.log(np.full((4, 1, 2), 0.5)))
    >>> fnn.nn.CTCLoss()(log_probs, [[1]], [4], [1])     # -log(10 / 16): ten of the alignments say 1
    Tensor(0.47000363)
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        self.blank = check_blank(blank, "CTCLoss")
        self.reduction = check_reduction(reduction, "CTCLoss")
        self.zero_infinity = bool(zero_infinity)

    def forward(self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any) -> Any:
        return ops.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


class PointwiseLoss(OpLayer):
    """What the layers of the pointwise losses share."""

    threshold: ClassVar[float | None] = None  # the output above which class 1 is likelier, of a loss of two classes

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = check_reduction(reduction, type(self).__name__)


class BCEWithLogitsLoss(PointwiseLoss):
    """Binary cross entropy of scores of any size, see ops.binary_cross_entropy_with_logits for arguments and errors.

    >>> import fastnn as fnn
    >>> fnn.nn.BCEWithLogitsLoss()(fnn.Tensor([0.0, 0.0]), [1, 0])
    Tensor(0.6931472)
    """

    op = ops.binary_cross_entropy_with_logits
    threshold = 0.0

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self.weight = weight
        self.pos_weight = pos_weight


class HuberLoss(PointwiseLoss):
    """(input - target)² / 2 near 0, and beyond delta a line that goes on as it (Huber 1964), see ops.huber_loss.

    reduction: "mean" (default), "sum" or "none". delta: above 0, default 1.0. Raises ValueError for others.

    >>> import fastnn as fnn
    >>> fnn.nn.HuberLoss()(fnn.Tensor([1.0, 2.0]), [1.0, 5.0])
    Tensor(1.25)
    """

    op = ops.huber_loss

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = check_delta(delta, "HuberLoss")


class L1Loss(PointwiseLoss):
    """|input - target|, averaged ("mean", default), added up ("sum") or as it is ("none"), see ops.l1_loss.

    >>> import fastnn as fnn
    >>> fnn.nn.L1Loss()(fnn.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(1.)
    """

    op = ops.l1_loss


class MSELoss(PointwiseLoss):
    """(input - target)², averaged ("mean", default), added up ("sum") or as it is ("none"), see ops.mse_loss.

    >>> import fastnn as fnn
    >>> fnn.nn.MSELoss()(fnn.Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(2.)
    """

    op = ops.mse_loss


POINTWISE = PointwiseLoss.__subclasses__()

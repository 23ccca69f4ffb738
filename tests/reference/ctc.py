import numpy as np


def _one(log_p, labels, blank):
    """log_p (frames, C): alpha over blank, label, blank, ..., label, blank (Graves et al. 2006, eq. 6)."""
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    skip = np.zeros(states.size, bool)
    skip[3::2] = states[3::2] != states[1:-2:2]
    alpha = np.full(states.size, -np.inf)
    alpha[0] = 0
    for t, row in enumerate(log_p):
        one, two = np.roll(alpha, 1), np.roll(alpha, 2)
        one[:1] = two[:2] = -np.inf
        if t == 0:
            one[1:2] = 0
        alpha = np.logaddexp(np.logaddexp(alpha, one), np.where(skip, two, -np.inf)) + row[states]
    return -np.logaddexp.reduce(alpha[-2:])


def ctc_loss(log_probs, targets, input_lengths, target_lengths, *, blank=0, reduction="mean", zero_infinity=False):
    ends = np.cumsum(target_lengths)
    losses = []
    for n, (frames, labels) in enumerate(zip(input_lengths, target_lengths, strict=True)):
        own = targets[n, :labels] if targets.ndim == 2 else targets[ends[n] - labels : ends[n]]
        losses.append(_one(log_probs[:frames, n], own, blank))
    losses = np.array(losses)
    if zero_infinity:
        losses[np.isinf(losses)] = 0
    if reduction == "mean":
        return np.mean(losses / np.maximum(target_lengths, 1))
    return losses.sum() if reduction == "sum" else losses


def ctc_collapse(path, blank):
    """The labels of an alignment: repeats merged, blanks dropped."""
    return tuple(int(c) for i, c in enumerate(path) if c != blank and (i == 0 or c != path[i - 1]))

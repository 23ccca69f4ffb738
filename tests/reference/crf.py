import numpy as np


def crf_score(emissions, tags, transitions, start, end):
    """Of one chain: emissions (length, K), tags (length)."""
    return (
        start[tags[0]]
        + end[tags[-1]]
        + emissions[np.arange(len(tags)), tags].sum()
        + transitions[tags[:-1], tags[1:]].sum()
    )


def crf_loss(emissions, tags, transitions, start, end, lengths=None, *, reduction="mean"):
    """The forward recursion over steps, in logarithms."""
    lengths = np.full(emissions.shape[1], len(emissions)) if lengths is None else lengths
    losses = []
    for n, length in enumerate(lengths):
        x, own = emissions[:length, n], tags[:length, n]
        alpha = start + x[0]
        for row in x[1:]:
            alpha = np.logaddexp.reduce(alpha[:, None] + transitions, axis=0) + row
        losses.append(np.logaddexp.reduce(alpha + end) - crf_score(x, own, transitions, start, end))
    losses = np.array(losses)
    return losses if reduction == "none" else losses.sum() if reduction == "sum" else losses.mean()

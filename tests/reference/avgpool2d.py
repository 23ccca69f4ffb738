import numpy as np

from reference.maxpool2d import pair, window_count


def means(x, rows, columns, divisor=None):
    """rows and columns: per window (begin, end, size to divide by)."""
    y = np.zeros((*x.shape[:2], len(rows), len(columns)))
    for i, (top, bottom, high) in enumerate(rows):
        for j, (left, right, wide) in enumerate(columns):
            y[:, :, i, j] = x[:, :, top:bottom, left:right].sum(axis=(2, 3)) / (divisor or high * wide)
    return y


def avgpool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None):
    windows = []
    geometry = zip(pair(kernel_size), pair(stride or kernel_size), pair(padding), strict=True)
    for size, (k, s, p) in zip(x.shape[2:], geometry, strict=True):
        axis = []
        for i in range(window_count(size, k, s, p, 1, ceil_mode)):
            start, end = i * s - p, min(i * s - p + k, size + p)
            begin, stop = max(start, 0), min(end, size)
            axis.append((begin, stop, end - start if count_include_pad else stop - begin))
        windows.append(axis)
    return means(x, *windows, divisor_override)


def avgpool1d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    step = (1, stride or kernel_size)
    return avgpool2d(x[:, :, None], (1, kernel_size), step, (0, padding), ceil_mode, count_include_pad)[:, :, 0]


def adaptive_avgpool2d(x, output_size):
    windows = []
    for size, count in zip(x.shape[2:], pair(output_size), strict=True):
        count = size if count is None else count
        axis = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        windows.append([(begin, end, end - begin) for begin, end in axis])
    return means(x, *windows)


def adaptive_avgpool1d(x, output_size):
    return adaptive_avgpool2d(x[:, :, None], (1, output_size))[:, :, 0]

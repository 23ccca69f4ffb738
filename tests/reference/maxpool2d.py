import numpy as np


def pair(value):
    return tuple(value) if isinstance(value, tuple) else (value, value)


def window_count(size, kernel, stride, padding, dilation, ceil_mode):
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


def maxpool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    geometry = zip(pair(kernel_size), pair(stride or kernel_size), pair(padding), pair(dilation), strict=True)
    taps = []  # per axis, per window: the positions inside the image
    for size, (k, s, p, d) in zip(x.shape[2:], geometry, strict=True):
        starts = [i * s - p for i in range(window_count(size, k, s, p, d, ceil_mode))]
        taps.append([[start + t * d for t in range(k) if 0 <= start + t * d < size] for start in starts])
    y = np.full((*x.shape[:2], len(taps[0]), len(taps[1])), -np.inf)
    for i, rows in enumerate(taps[0]):
        for j, columns in enumerate(taps[1]):
            y[:, :, i, j] = x[:, :, rows][:, :, :, columns].max(axis=(2, 3), initial=-np.inf)
    return y


def maxpool1d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    step = (1, stride or kernel_size)
    return maxpool2d(x[:, :, None], (1, kernel_size), step, (0, padding), (1, dilation), ceil_mode)[:, :, 0]

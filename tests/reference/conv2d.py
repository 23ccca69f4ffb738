import numpy as np


def conv2d(x, weight, bias=None, *, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1):
    x = np.pad(x, ((0, 0), (0, 0), (padding[0], padding[0]), (padding[1], padding[1])))
    k, depth, kh, kw = weight.shape
    oh = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((x.shape[0], k, oh, ow), np.result_type(x, weight))
    for g in range(groups):
        inputs, outputs = slice(g * depth, (g + 1) * depth), slice(g * k // groups, (g + 1) * k // groups)
        for u in range(kh):
            for v in range(kw):
                rows = slice(u * dilation[0], u * dilation[0] + oh * stride[0], stride[0])
                cols = slice(v * dilation[1], v * dilation[1] + ow * stride[1], stride[1])
                y[:, outputs] += np.einsum("nchw,kc->nkhw", x[:, inputs, rows, cols], weight[outputs, :, u, v])
    return y if bias is None else y + bias[None, :, None, None]


def conv1d(x, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1):
    y = conv2d(
        x[:, :, None],
        weight[:, :, None],
        bias,
        stride=(1, stride),
        padding=(0, padding),
        dilation=(1, dilation),
        groups=groups,
    )
    return y[:, :, 0]

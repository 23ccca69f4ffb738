import numpy as np


def conv_transpose2d(
    x, weight, bias=None, *, stride=(1, 1), padding=(0, 0), output_padding=(0, 0), groups=1, dilation=(1, 1)
):
    """Every pixel of x adds its filters to y, which is then cut."""
    n, c, h, w = x.shape
    outputs, kh, kw = weight.shape[1:]
    rows = (h - 1) * stride[0] + dilation[0] * (kh - 1) + 1 + output_padding[0]
    cols = (w - 1) * stride[1] + dilation[1] * (kw - 1) + 1 + output_padding[1]
    y = np.zeros((n, groups * outputs, rows, cols), np.result_type(x, weight))
    for g in range(groups):
        ins, outs = slice(g * c // groups, (g + 1) * c // groups), slice(g * outputs, (g + 1) * outputs)
        for u in range(kh):
            for v in range(kw):
                top, left = u * dilation[0], v * dilation[1]
                reached = y[:, outs, top : top + h * stride[0] : stride[0], left : left + w * stride[1] : stride[1]]
                reached[:, :, :h, :w] += np.einsum("nchw,ck->nkhw", x[:, ins], weight[ins, :, u, v])
    y = y[:, :, padding[0] : rows - padding[0], padding[1] : cols - padding[1]]
    return y if bias is None else y + bias[None, :, None, None]


def conv_transpose1d(x, weight, bias=None, *, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    y = conv_transpose2d(
        x[:, :, None],
        weight[:, :, None],
        bias,
        stride=(1, stride),
        padding=(0, padding),
        output_padding=(0, output_padding),
        groups=groups,
        dilation=(1, dilation),
    )
    return y[:, :, 0]

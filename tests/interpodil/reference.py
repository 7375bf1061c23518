"""The interpodilated convolution spelt out one number at a time, in double precision.

Slow on purpose, and written from the definition rather than from the package.
"""

import math

import torch


def lerp(start, end, fraction):
    return start + (end - start) * fraction


def tent_sample(a, b, dilation, edge, corner):
    """The tent `a` rows and `b` columns from its centre."""
    a, b = abs(a) / (dilation[0] / 2), abs(b) / (dilation[1] / 2)
    if a >= 2 or b >= 2:
        return 0.0
    knots = [[1.0, edge, 0.0], [edge, corner, 0.0], [0.0, 0.0, 0.0]]
    top, left = int(a), int(b)
    upper = lerp(knots[top][left], knots[top][left + 1], b - left)
    lower = lerp(knots[top + 1][left], knots[top + 1][left + 1], b - left)
    return lerp(upper, lower, a - top)


def surface(y, x, dilation, edge, corner):
    """The tent at a real position, from its samples at the four pixels around it."""
    if abs(y) >= dilation[0] or abs(x) >= dilation[1]:
        return 0.0
    top, left = math.floor(y), math.floor(x)
    sample = [
        [tent_sample(top + i, left + j, dilation, edge, corner) for j in (0, 1)] for i in (0, 1)
    ]
    upper = lerp(sample[0][0], sample[0][1], x - left)
    lower = lerp(sample[1][0], sample[1][1], x - left)
    return lerp(upper, lower, y - top)


def position(pixel, tap, kernel_size, dilation, fade):
    """Where on the tent of `tap` a pixel of the support lies, `None` for nowhere."""
    last = dilation * (kernel_size - 1)
    if pixel < 0:
        return pixel * dilation / (fade + 1) if tap == 0 else None
    if pixel > last:
        return (pixel - last) * dilation / (fade + 1) if tap == kernel_size - 1 else None
    return pixel - dilation * tap


def kernel_image(base, dilation, fade, growth, edge, corner):
    """The effective kernel of one k0 x k1 base kernel given as a list of rows."""
    k0, k1 = len(base), len(base[0])
    reach = math.ceil(fade)
    rows = list(range(-reach, dilation[0] * (k0 - 1) + 1 + reach))
    columns = list(range(-reach, dilation[1] * (k1 - 1) + 1 + reach))
    while growth is not None and len(rows) > growth:
        rows = rows[1:-1]
    while growth is not None and len(columns) > growth:
        columns = columns[1:-1]
    image = []
    for u in rows:
        line = []
        for v in columns:
            total = 0.0
            for i in range(k0):
                for j in range(k1):
                    y = position(u, i, k0, dilation[0], fade)
                    x = position(v, j, k1, dilation[1], fade)
                    if y is not None and x is not None:
                        total += base[i][j] * surface(y, x, dilation, edge, corner)
            line.append(total)
        image.append(line)
    return image


def effective_kernel(weight, dilation=(2, 2), fade=1.0, growth=None, edge=0.5, corner=0.25):
    return torch.tensor(
        [
            [kernel_image(base, dilation, fade, growth, edge, corner) for base in filters]
            for filters in weight.tolist()
        ],
        dtype=torch.float64,
        device="cpu",
    )


def source_index(index, size, padding_mode):
    """The pixel that padding repeats at `index`, `None` for a zero."""
    if 0 <= index < size:
        return index
    if padding_mode == "zeros":
        return None
    if padding_mode == "replicate":
        return 0 if index < 0 else size - 1
    if padding_mode == "circular":
        return index + size if index < 0 else index - size
    return -index if index < 0 else 2 * (size - 1) - index


def conv2d(
    image,
    weight,
    bias=None,
    stride=(1, 1),
    padding=(0, 0),
    dilation=(2, 2),
    groups=1,
    padding_mode="zeros",
    **shape,
):
    """The output for one image of shape (channels, height, width)."""
    kernel = effective_kernel(weight, dilation, **shape).tolist()
    taps = weight.shape[2:]
    size = len(kernel[0][0]), len(kernel[0][0][0])
    height, width = image.shape[1:]
    before = [p + (s - k) // 2 for p, s, k in zip(padding, size, taps, strict=True)]
    out_height = (height + 2 * padding[0] - taps[0]) // stride[0] + 1
    out_width = (width + 2 * padding[1] - taps[1]) // stride[1] + 1
    pixels = image.tolist()
    channels_out, channels_in = weight.shape[:2]
    output = []
    for o in range(channels_out):
        first = o // (channels_out // groups) * channels_in
        plane = []
        for y in range(out_height):
            line = []
            for x in range(out_width):
                total = 0.0 if bias is None else bias[o].item()
                for u in range(size[0]):
                    row = source_index(y * stride[0] + u - before[0], height, padding_mode)
                    if row is None:
                        continue
                    for v in range(size[1]):
                        column = source_index(x * stride[1] + v - before[1], width, padding_mode)
                        if column is None:
                            continue
                        for c in range(channels_in):
                            total += kernel[o][c][u][v] * pixels[first + c][row][column]
                line.append(total)
            plane.append(line)
        output.append(plane)
    return torch.tensor(output, dtype=torch.float64, device="cpu")

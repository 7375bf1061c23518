"""The interpodilated convolution from its definition, one number at a time, in double precision.

Slow on purpose, for one, two and three spatial axes, and written apart from the package. The
effective kernel is a list of terms (pixel, tap, tent sample, factor) found by loops; torch only
adds them up and gathers the input, so that gradients can be compared too. No convolution is called.
"""

import itertools
import math

import torch

PROFILES = {
    "linear": lambda t, d: 1 - abs(t) / d,
    "cosine": lambda t, d: math.cos(math.pi * t / (2 * d)) ** 2,
    "gaussian": lambda t, d: math.exp(-(t**2) / (2 * (d / 3) ** 2)),
}


def per_axis(value, dims):
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims


def between(position):
    """The whole numbers around a real position, with the share of each; none with share 0."""
    below = math.floor(position)
    shares = [(below, 1 - (position - below)), (below + 1, position - below)]
    return [(index, share) for index, share in shares if share > 0]


def product(choices):
    """Every combination of one (index, share) per axis: the indices, and the shares multiplied."""
    for chosen in itertools.product(*choices):
        yield tuple(index for index, _ in chosen), math.prod(share for _, share in chosen)


def tent_samples(dilation, edge=0.5, corner=0.25, tent=None):
    """The tent of shape (2d_0 - 1, ...), or with the channels before that, in double precision."""
    if isinstance(tent, torch.Tensor):
        return tent.double()
    shape = [2 * d - 1 for d in dilation]
    offsets = list(itertools.product(*(range(1 - d, d) for d in dilation)))
    if tent is not None:
        axes = [[PROFILES[tent](t, d) for t in range(1 - d, d)] for d in dilation]
        values = [math.prod(values) for values in itertools.product(*axes)]
        return torch.tensor(values, dtype=torch.float64).reshape(shape)
    edge, corner = (torch.as_tensor(c, dtype=torch.float64) for c in (edge, corner))
    half_way = [torch.ones_like(edge), edge, corner, edge * corner]
    values = []
    for offset in offsets:
        # Knots lie at 0, half the dilation and the dilation of each axis; the last are zero.
        knots = [between(abs(t) / (d / 2)) for t, d in zip(offset, dilation, strict=True)]
        terms = [s * half_way[sum(knot)] for knot, s in product(knots) if max(knot) < 2]
        values.append(sum(terms))
    return torch.stack(values).reshape(shape)


def position(pixel, tap, kernel_size, dilation, fade):
    """Where on the tent of `tap` a pixel of the support lies, `None` for nowhere."""
    last = dilation * (kernel_size - 1)
    if pixel < 0:
        return pixel * dilation / (fade + 1) if tap == 0 else None
    if pixel > last:
        return (pixel - last) * dilation / (fade + 1) if tap == kernel_size - 1 else None
    return pixel - dilation * tap


def axis_pixels(kernel_size, dilation, fade, growth):
    """The pixels of the effective kernel along one axis, 0 being the first tap's."""
    reach = math.ceil(fade)
    pixels = list(range(-reach, dilation * (kernel_size - 1) + 1 + reach))
    while growth is not None and len(pixels) > growth:
        pixels = pixels[1:-1]
    return pixels


def axis_terms(kernel_size, dilation, fade, growth):
    """For every pixel of one axis: [((tap, sample), share), ...]."""
    terms = []
    for pixel in axis_pixels(kernel_size, dilation, fade, growth):
        seen = []
        for tap in range(kernel_size):
            where = position(pixel, tap, kernel_size, dilation, fade)
            if where is None or abs(where) >= dilation:
                continue
            for sample, share in between(where):
                if abs(sample) < dilation:
                    seen.append(((tap, sample + dilation - 1), share))
        terms.append(seen)
    return terms


def kernel_terms(kernel_size, dilation, fade, growth):
    """The effective kernel's size, and its terms as flat indices: (pixel, tap, sample, factor)."""
    axes = [axis_terms(*axis) for axis in zip(kernel_size, dilation, fade, growth, strict=True)]
    size = [len(axis) for axis in axes]
    samples = [2 * d - 1 for d in dilation]
    terms = []
    for pixel, seen in enumerate(itertools.product(*axes)):
        for pairs, factor in product(seen):
            tap = flat([tap for tap, _ in pairs], kernel_size)
            sample = flat([sample for _, sample in pairs], samples)
            terms.append((pixel, tap, sample, factor))
    return size, terms


def flat(index, shape):
    number = 0
    for i, n in zip(index, shape, strict=True):
        number = number * n + i
    return number


def effective_kernel(
    weight, dilation=2, *, fade=None, growth=None, edge=0.5, corner=0.25, tent=None, groups=1
):
    """The effective kernel of base weights (C_out, C_in / groups, *k)."""
    kernel_size = tuple(weight.shape[2:])
    dims = len(kernel_size)
    dilation, growth = per_axis(dilation, dims), per_axis(growth, dims)
    fade = tuple(d - 1 for d in dilation) if fade is None else per_axis(fade, dims)
    samples = tent_samples(dilation, edge, corner, tent).to(weight.device)
    size, terms = kernel_terms(kernel_size, dilation, fade, growth)
    *indices, factors = zip(*terms, strict=True)
    pixels, taps, sampled = (torch.tensor(index, device=weight.device) for index in indices)
    factors = torch.tensor(factors, dtype=torch.float64, device=weight.device)
    channels_out, channels_in = weight.shape[:2]
    if samples.dim() == dims:
        samples = samples.expand(channels_in * groups, *samples.shape)
    # Output channel `o` reads the input channels of its group.
    group = torch.arange(channels_out, device=weight.device) // (channels_out // groups)
    channel = group[:, None] * channels_in + torch.arange(channels_in, device=weight.device)
    tents = samples.flatten(1)[channel]
    values = weight.double().flatten(2)[..., taps] * tents[..., sampled] * factors
    kernel = values.new_zeros(channels_out, channels_in, math.prod(size))
    return kernel.index_add(2, pixels, values).reshape(channels_out, channels_in, *size)


def source_index(index, size, padding_mode):
    """The pixel that padding repeats at `index`; `size` stands for a zero."""
    if 0 <= index < size:
        return index
    if padding_mode == "zeros":
        return size
    if padding_mode == "replicate":
        return 0 if index < 0 else size - 1
    if padding_mode == "circular":
        return index + size if index < 0 else index - size
    return -index if index < 0 else 2 * (size - 1) - index


def axis_sources(size, taps, extent, stride, padding, padding_mode):
    """For every output pixel of one axis, the input pixel under every pixel of the kernel."""
    if padding == "same":
        before, outputs = (extent - 1) // 2, size
    else:
        plain = 0 if padding == "valid" else padding
        before = plain + (extent - taps) // 2
        outputs = (size + 2 * plain - taps) // stride + 1
    return [
        [source_index(y * stride + u - before, size, padding_mode) for u in range(extent)]
        for y in range(outputs)
    ]


def convolution(
    input,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=2,
    groups=1,
    *,
    padding_mode="zeros",
    **shape,
):
    """The output for a batch (N, C_in, ...) or one input (C_in, ...).

    `shape` are the keywords of `effective_kernel`.
    """
    dims = weight.dim() - 2
    if input.dim() == dims + 1:
        arguments = (weight, bias, stride, padding, dilation, groups)
        return convolution(input[None], *arguments, padding_mode=padding_mode, **shape)[0]
    kernel = effective_kernel(weight, dilation, groups=groups, **shape)
    stride, padding = per_axis(stride, dims), per_axis(padding, dims)
    patches = input.double()
    for axis in range(dims):
        # An axis of pixels becomes one of output pixels and one of the kernel's.
        at = 2 + 2 * axis
        size = patches.shape[at]
        taps, extent = weight.shape[2 + axis], kernel.shape[2 + axis]
        sources = axis_sources(size, taps, extent, stride[axis], padding[axis], padding_mode)
        zero = patches.new_zeros(*patches.shape[:at], 1, *patches.shape[at + 1 :])
        patches = torch.cat((patches, zero), at)
        index = torch.tensor(sources, device=input.device)
        patches = patches.index_select(at, index.flatten()).unflatten(at, index.shape)
    patches = patches.unflatten(1, (groups, -1))
    kernel = kernel.unflatten(0, (groups, -1))
    letters = [("xyz"[axis], "uvw"[axis]) for axis in range(dims)]
    over = "".join(x + u for x, u in letters)
    pixels, outputs = "".join(u for _, u in letters), "".join(x for x, _ in letters)
    output = torch.einsum(f"ngc{over},goc{pixels}->ngo{outputs}", patches, kernel).flatten(1, 2)
    if bias is not None:
        output = output + bias.double().reshape(-1, *(1,) * dims)
    return output

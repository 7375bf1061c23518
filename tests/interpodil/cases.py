"""Random settings of the convolution, valid by construction, and what comes out for them."""

import dataclasses
import math
import random

import torch

from tests.interpodil.kinds import PADDING_MODES

UNSTRETCHED = ("tent_first", "separable_tent")
SEPARABLE = ("separable_tent", "axis_first")


@dataclasses.dataclass
class Case:
    """Settings, the tensors they are for, and the format and dtype they are tried in."""

    dims: int
    input: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    options: dict
    dtype: torch.dtype
    channels_last: bool

    def __str__(self):
        shapes = f"input={tuple(self.input.shape)}, weight={tuple(self.weight.shape)}"
        extra = f"bias={self.bias is not None}, channels_last={self.channels_last}"
        return f"{shapes}, {extra}, {self.dtype}, {self.options}"

    def leaves(self, dtype=None):
        """Fresh tensors by name, rounded to the case's dtype, each to be differentiated."""
        named = {"input": self.input, "weight": self.weight, "bias": self.bias, **self.options}
        leaves = {}
        for name, value in named.items():
            if isinstance(value, torch.Tensor):
                leaves[name] = value.to(self.dtype).to(dtype or self.dtype).clone()
        if self.channels_last and self.dims > 1:
            last = torch.channels_last if self.dims == 2 else torch.channels_last_3d
            leaves["input"] = leaves["input"].contiguous(memory_format=last)
        return {name: leaf.requires_grad_() for name, leaf in leaves.items()}

    def run(self, function, dtype=None, **options):
        """The output of `function` and the gradients of a fixed sum of it, by name."""
        leaves = self.leaves(dtype)
        rest = {k: v for k, v in self.options.items() if not isinstance(v, torch.Tensor)}
        output = function(**leaves, **rest, **options)
        generator = torch.Generator().manual_seed(1)
        factors = torch.randn(output.shape, generator=generator, dtype=torch.float64)
        # A corner that no sample of the tent depends on has a gradient of zero.
        total = (output * factors.to(output.dtype)).sum()
        grads = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
        return output, dict(zip(leaves, grads, strict=True))


def drawn(path, dims, count):
    """`count` cases in `dims` dimensions to which an algorithm applies."""
    seed = random.Random(f"{path} {dims}")
    return [draw(seed, path, dims) for _ in range(count)]


def draw(seed, path, dims):
    small = dims == 3
    dilation = axes(seed, dims, lambda _: seed.randint(1, 3 if small else 4))
    kernel_size = axes(
        seed, dims, lambda _: seed.randint(1, 3) if small else seed.choice([1, 2, 3, 3, 4, 5])
    )
    window = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation, strict=True)]
    unstretched = path in UNSTRETCHED or (path == "auto" and seed.random() < 0.6)
    fade = draw_fade(seed, dims, dilation, unstretched, small)
    reach = [math.ceil(f) for f in fade or [d - 1 for d in dilation]]
    growth = tuple(draw_growth(seed, n, r, unstretched) for n, r in zip(window, reach, strict=True))
    extent = [min(g or math.inf, n + 2 * r) for g, n, r in zip(growth, window, reach, strict=True)]
    groups = seed.choice([1, 1, 2, 3])
    # Layouts are chosen by the number of channels, so many are tried too.
    channels_in = groups * seed.choice([1, 2] if small else [1, 2, 2, 8, 20])
    channels_out = groups * seed.randint(1, 2)
    mode = seed.choice(PADDING_MODES)
    padding = seed.choice(["same", "valid", None, None, None, None])
    stride = (1,) * dims if padding == "same" else axes(seed, dims, lambda _: seed.randint(1, 5))
    plain = axes(seed, dims, lambda i: seed.choice([0, 0, 1, 2, 3, kernel_size[i] + 2]))
    if padding is not None:
        plain = (0,) * dims
    size = [
        draw_size(seed, k, s, p, padding == "same", mode, small)
        for k, s, p in zip(kernel_size, extent, plain, strict=True)
    ]
    options = {
        "stride": shorten(seed, stride),
        "padding": padding or shorten(seed, plain),
        "dilation": shorten(seed, dilation),
        "groups": groups,
        "padding_mode": mode,
        "fade": fade and shorten(seed, fade),
        "growth": shorten(seed, growth),
        **draw_tent(seed, dilation, channels_in, path in SEPARABLE, extent == [*kernel_size]),
    }
    return Case(
        dims,
        normal(seed, seed.randint(1, 2), channels_in, *size),
        normal(seed, channels_out, channels_in // groups, *kernel_size),
        normal(seed, channels_out) if seed.random() < 0.7 else None,
        options,
        seed.choice([torch.float64, torch.float32]),
        seed.random() < 0.5,
    )


def axes(seed, dims, value):
    """One value for all axes, or one for each."""
    values = tuple(value(i) for i in range(dims))
    return values if seed.random() < 0.6 else (values[0],) * dims


def shorten(seed, values):
    """The same settings as a single number now and then."""
    return values[0] if len({*values}) == 1 and seed.random() < 0.5 else values


def normal(seed, *shape):
    generator = torch.Generator().manual_seed(seed.getrandbits(32))
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def draw_fade(seed, dims, dilation, unstretched, small):
    if seed.random() < 0.3:
        return None
    if unstretched:
        return tuple(d - 1 for d in dilation)
    fades = [0, 0.5, 1, 1.7, 2] if small else [0, 0.5, 1, 1.7, 2, 3.3, 4.0]
    return axes(seed, dims, lambda _: seed.choice(fades))


def draw_growth(seed, window, reach, unstretched):
    """Sizes that are the window's or more; none that crops where the tent is to stay whole."""
    if seed.random() < 0.5:
        return None
    return window + 2 * seed.randint(reach if unstretched else 0, reach + 1)


def draw_size(seed, taps, extent, plain, same, mode, small):
    """A size that the plain convolution takes and that padding can reflect or wrap."""
    pad = (extent - 1) - (extent - 1) // 2 if same else plain + -(-(extent - taps) // 2)
    needed = {"reflect": pad + 1, "circular": pad}.get(mode, 1)
    least = max(needed, 1, 1 if same else taps - 2 * plain)
    return max(least, seed.randint(3, 7 if small else 13))


def draw_tent(seed, dilation, channels, separable, plain):
    """Options that set the tent; the tensors among them are to be differentiated.

    A plain convolution does not read the tent's center, so it is given no tent to differentiate.
    """
    edge = seed.choice([0.5, 0.3, 0.8, -0.4, 0.0])
    kinds = [
        dict,
        lambda: {"tent": seed.choice(["linear", "cosine", "gaussian"])},
        lambda: {"edge": edge, "corner": edge**2},
    ]
    if not separable and not plain:
        shape = [2 * d - 1 for d in dilation]
        kinds += [
            lambda: {"edge": edge, "corner": seed.choice([0.1, 0.7, -0.3])},
            lambda: {"edge": torch.tensor(0.4 + 0.1 * edge), "corner": torch.tensor(0.3)},
            lambda: {"tent": random_tent(seed, *shape)},
            lambda: {"tent": random_tent(seed, channels, *shape, per_channel=True)},
        ]
    return seed.choice(kinds)()


def random_tent(seed, *shape, per_channel=False):
    values = torch.tanh(normal(seed, *shape))
    samples = values.flatten(1) if per_channel else values.flatten()
    samples[..., samples.shape[-1] // 2] = 1
    return samples.reshape(shape)

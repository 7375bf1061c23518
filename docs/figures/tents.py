"""The tent of a tap along one axis, and how the fade stretches it beyond the outermost tap."""

from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from docs.figures.card import BACKGROUND, BLUE, INK, OCHRE, PURPLE, QUIET, RED, Card, points
from interpodil import effective_kernel, profile_tent
from interpodil.tents import Profile

PROFILE_DILATION = 4
FADE_DILATION = 2
FADES = (0.0, 0.5, 1.0, 3.0)


def profile_samples(profile: Profile, dilation: int, per_pixel: int = 1) -> tuple[Tensor, Tensor]:
    """Return positions in pixels and a profile's values there, ``per_pixel`` of them a pixel.

    A profile has one shape for all dilations, so a larger dilation's samples lie between a
    smaller one's.
    """
    reach = dilation * per_pixel
    positions = torch.arange(1 - reach, reach, dtype=torch.float64) / per_pixel
    return positions, profile_tent((reach,), profile)


def last_tap(fade: float) -> tuple[Tensor, Tensor]:
    """Return pixels, counted from the last of two taps, and what they see of it."""
    weight = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64)
    kernel = effective_kernel(weight, FADE_DILATION, fade=fade)[0, 0]
    margin = (len(kernel) - FADE_DILATION - 1) // 2
    return torch.arange(len(kernel)) - margin - FADE_DILATION, kernel


def stretched(fade: float) -> tuple[Tensor, Tensor]:
    """Return the corners of the line on which the values of `last_tap` lie."""
    positions, values = profile_samples("linear", FADE_DILATION)
    outer = torch.where(positions > 0, positions * (fade + 1) / FADE_DILATION, positions)
    end = torch.tensor([fade + 1.0])
    start = torch.tensor([-float(FADE_DILATION)])
    nothing = torch.zeros(1)
    return torch.cat([start, outer, end]), torch.cat([nothing, values, nothing])


def draw_tents() -> Card:
    card = Card(372)
    _draw_profiles(card)
    _draw_fades(card)
    return card


def _draw_profiles(card: Card) -> None:
    d = PROFILE_DILATION
    card.heading(
        34, 34, "Profiles along one axis", f"dilation {d}: {2 * d - 1} samples", align="left"
    )
    axes = card.panel(56, 92, 366, 218)
    # Where linear and Gaussian samples all but coincide, the diamond lies in the ring.
    looks: dict[Profile, dict[str, Any]] = {
        "linear": {"color": BLUE, "marker": "o", "ms": points(10), "mfc": BACKGROUND},
        "cosine": {"color": RED, "marker": "s", "ms": points(6.5)},
        "gaussian": {"color": OCHRE, "marker": "D", "ms": points(6)},
    }
    labels = {"linear": (3.22, 0.31), "cosine": (1.1, 0.93), "gaussian": (-1.75, 0.33)}
    for profile, look in looks.items():
        x, y = profile_samples(profile, d, per_pixel=50)
        axes.plot(x, y, color=look["color"], linewidth=points(1.8))
    for profile, look in looks.items():
        x, y = profile_samples(profile, d)
        axes.plot(x, y, linestyle="none", mew=points(1.8), **look)
        card.text(*labels[profile], profile, 14, look["color"], align="left", axes=axes)
    axes.set(xlim=(-d - 0.2, d + 0.2), xticks=range(-d, d + 1))
    _finish(axes)
    card.text(239, 346, f"pixels from the tap; the next taps lie at -{d} and {d}", 13, QUIET)


def _draw_fades(card: Card) -> None:
    d = FADE_DILATION
    note = f"dilation {d}: zero from fade + 1 pixels on; the default is a fade of {d - 1}"
    card.heading(476, 34, "Beyond the outermost tap", note, align="left")
    axes = card.panel(498, 92, 368, 218)
    low = 0.1
    for fade, color in zip(FADES, (PURPLE, OCHRE, BLUE, RED), strict=True):
        x, y = stretched(fade)
        axes.plot(x[x >= 0], y[x >= 0], color=color, linewidth=points(2))
        x, y = last_tap(fade)
        axes.plot(x[x > 0], y[x > 0], "o", color=color, ms=points(8))
        card.text((1 - low) * (fade + 1), low, f"{fade:g}", 13, color, axes=axes, backdrop=True)
    card.text(0.72, low, "fade", 13, QUIET, align="right", axes=axes)
    x, y = stretched(FADES[0])
    axes.plot(x[x <= 0], y[x <= 0], color=INK, linewidth=points(2))
    x, y = last_tap(FADES[0])
    axes.plot(x, y, "o", color=INK, ms=points(8), clip_on=False, zorder=4)
    axes.set(xlim=(-d - 0.2, 4.2), xticks=range(-d, 5))
    _finish(axes)
    card.text(682, 346, f"pixels from the outermost tap; the one before it lies at -{d}", 13, QUIET)


def _finish(axes: Axes) -> None:
    axes.set_ylim(0, 1.06)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.grid(axis="y")

"""The arms that come with the project: what is compared, by name."""

from typing import Any

_EDGE = {"layer.edge": {"float": [0.0, 1.0]}}
_CORNER = {"layer.corner": {"float": [0.0, 1.0]}}
_FADE = {"layer.fade": {"float": [0.25, 4.0]}}
_FORWARD = {"layer.gain": "forward"}
_5X5: dict[str, Any] = {"layer.growth": 5}
# The tent that is not stretched outside of the outermost taps.
_7X7: dict[str, Any] = {"layer.growth": 7, "layer.fade": 1.0}

#: What each sets, and what it tunes beside what all arms tune, as in a spec.
#:
#: ``forum-7x7`` is the idea's first code: the plain convolution's initial weights, expanded as they
#: are. It fixes ``layer.init_scale``, which the others may tune.
ARMS: dict[str, dict[str, Any]] = {
    "plain-3x3": {"set": {"layer.dilation": 1, "layer.growth": 3}},
    "dilated-3x3": {"set": {**_5X5, "layer.edge": 0.0, "layer.corner": 0.0}},
    "linear-5x5": {"set": _5X5},
    "linear-5x5-forward": {"set": _5X5 | _FORWARD},
    "tuned-5x5": {"set": _5X5, "search": _EDGE | _CORNER},
    "tuned-5x5-forward": {"set": _5X5 | _FORWARD, "search": _EDGE | _CORNER},
    "learned-5x5": {"set": {**_5X5, "layer.learn_tent": "layer"}},
    "learned-5x5-forward": {"set": {**_5X5, **_FORWARD, "layer.learn_tent": "layer"}},
    "linear-7x7": {"set": _7X7},
    "linear-7x7-forward": {"set": _7X7 | _FORWARD},
    "tuned-7x7": {"set": {"layer.growth": 7}, "search": _EDGE | _CORNER | _FADE},
    "tuned-7x7-forward": {
        "set": {"layer.growth": 7, **_FORWARD},
        "search": _EDGE | _CORNER | _FADE,
    },
    "learned-7x7": {"set": {**_7X7, "layer.learn_tent": "layer"}},
    "learned-7x7-forward": {"set": {**_7X7, **_FORWARD, "layer.learn_tent": "layer"}},
    "forum-7x7": {"set": {**_7X7, "layer.init_scale": 1.5}},
    "dense-5x5": {"set": {"layer.kernel_size": 5, "layer.dilation": 1, "layer.growth": 5}},
    "dense-7x7": {"set": {"layer.kernel_size": 7, "layer.dilation": 1, "layer.growth": 7}},
    "blur-3x3": {"set": {"layer.blur": True, "layer.dilation": 1, "layer.growth": 3}},
}

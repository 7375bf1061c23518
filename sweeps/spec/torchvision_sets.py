"""The classification datasets that torchvision downloads, known without importing it."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeps.errors import SweepsError

PREFIX = "torchvision/"

_Parts = tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class TorchvisionSet:
    """How the splits are made of the class of that name in :mod:`torchvision.datasets`.

    Attributes:
        train: the class's arguments, of each part of the train split.
        test: likewise of the test split; empty where there is none, and a sixth of every class is
            held out.
        varied: whether the images differ in size, or are not square: a spec has to give one.
        options: arguments that a spec has to give, each with its values.
        needs: packages that torchvision downloads or reads it with, and does not depend on.
    """

    train: _Parts = ({"split": "train"},)
    test: _Parts = ({"split": "test"},)
    varied: bool = False
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()


def _flagged(**more: Any) -> TorchvisionSet:
    return TorchvisionSet(train=({"train": True},), test=({"train": False},), **more)


def _merged(validation: str, **more: Any) -> TorchvisionSet:
    # The share held out for validation is the spec's, so theirs is trained on.
    return TorchvisionSet(train=({"split": "train"}, {"split": validation}), **more)


def _whole(arguments: dict[str, Any] | None = None, **more: Any) -> TorchvisionSet:
    return TorchvisionSet(train=(arguments or {},), test=(), **more)


_EMNIST_SPLITS = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
_TRAINVAL: _Parts = ({"split": "trainval"},)
_GOOGLE_DRIVE = ("gdown",)

SETS = {
    "CIFAR10": _flagged(),
    "CIFAR100": _flagged(),
    "CLEVRClassification": TorchvisionSet(test=({"split": "val"},), varied=True),
    "Caltech101": _whole(varied=True, needs=_GOOGLE_DRIVE),
    "Caltech256": _whole(varied=True, needs=_GOOGLE_DRIVE),
    "Country211": _merged("valid", varied=True),
    "DTD": _merged("val", varied=True),
    "EMNIST": _flagged(options={"split": _EMNIST_SPLITS}),
    "EuroSAT": _whole(),
    "FGVCAircraft": TorchvisionSet(train=_TRAINVAL, varied=True),
    "FashionMNIST": _flagged(),
    "Flowers102": _merged("val", varied=True),
    "Food101": TorchvisionSet(varied=True),
    "GTSRB": TorchvisionSet(varied=True),
    "INaturalist": TorchvisionSet(
        train=({"version": "2021_train_mini"},), test=({"version": "2021_valid"},), varied=True
    ),
    "Imagenette": TorchvisionSet(
        train=({"split": "train", "size": "320px"},),
        test=({"split": "val", "size": "320px"},),
        varied=True,
    ),
    "KMNIST": _flagged(),
    "MNIST": _flagged(),
    "Omniglot": _whole({"background": True}),
    "OxfordIIITPet": TorchvisionSet(train=_TRAINVAL, varied=True),
    "PCAM": _merged("val", needs=("h5py", "gdown")),
    "Places365": TorchvisionSet(
        train=({"split": "train-standard", "small": True},), test=({"split": "val", "small": True},)
    ),
    "QMNIST": _flagged(),
    "RenderedSST2": _merged("val"),
    "SEMEION": _whole(),
    "STL10": TorchvisionSet(),
    "SUN397": _whole(varied=True),
    "SVHN": TorchvisionSet(),
    "USPS": _flagged(),
}


def find_set(name: str, options: Mapping[str, Any]) -> TorchvisionSet:
    """Find ``torchvision/NAME``, and check the options given with it.

    Raises:
        SweepsError: there is none of that name, or an option is missing, unknown or has a wrong
            value; it names the nearest or the right ones.
    """
    tail = name.removeprefix(PREFIX)
    if tail not in SETS:
        near = nearest_set(name)
        guess = f"did you mean {near}?" if near else f"there are {', '.join(SETS)}"
        raise SweepsError(f"torchvision has no dataset {tail!r} that can be downloaded; {guess}")
    known = SETS[tail].options
    for option in options:
        if option not in known:
            takes = f"takes {', '.join(known)}" if known else "takes no options"
            raise SweepsError(f"{name} has no option {option!r}; it {takes}")
    for option, values in known.items():
        if options.get(option) not in values:
            given = f"not {options[option]!r}" if option in options else "which is missing"
            raise SweepsError(
                f"{name} needs options: {{{option}: ...}}, one of {', '.join(values)}, {given}"
            )
    return SETS[tail]


def shown_name(name: str, options: Mapping[str, Any]) -> str:
    """A dataset's name with its options, ``torchvision/EMNIST split=letters``."""
    return " ".join([name, *(f"{option}={value}" for option, value in options.items())])


def nearest_set(name: str, others: Iterable[str] = ()) -> str | None:
    """The set with the name most like this one, prefix and case aside: ``torchvision/MNIST``.

    Args:
        name: the name.
        others: datasets that may be meant as well; of equal names, theirs.
    """
    lower = {known.lower(): f"{PREFIX}{known}" for known in SETS} | {o: o for o in others}
    near = difflib.get_close_matches(name.lower().removeprefix(PREFIX), lower, n=1)
    return lower[near[0]] if near else None

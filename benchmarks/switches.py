"""Constants and functions of the package, exchanged for the time of a measurement."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import interpodil


def exchanged(name: str, value: Any) -> Callable[[], AbstractContextManager[None]]:
    """Return what makes contexts in which a name means something else all over the package.

    Raises:
        LookupError: if no module of the package knows the name, so that nothing would change.
    """
    package = interpodil.__name__
    modules = [
        module
        for path, module in list(sys.modules.items())
        if path.partition(".")[0] == package and name in vars(module)
    ]
    if not modules:
        raise LookupError(f"no module of {package} has the name {name!r} that is to be exchanged")

    @contextmanager
    def context() -> Iterator[None]:
        before = [vars(module)[name] for module in modules]
        for module in modules:
            setattr(module, name, value)
        try:
            yield
        finally:
            for module, old in zip(modules, before, strict=True):
                setattr(module, name, old)

    return context

"""The package imports, says what it is and runs its own examples."""

import ast
import doctest
import importlib
import sys
from pathlib import Path

import torch

import interpodil
from interpodil import InterpodilConv1d, InterpodilConv2d, InterpodilConv3d


def test_everything_public_is_there():
    for name in interpodil.__all__:
        assert getattr(interpodil, name).__doc__


def test_repr_names_what_conv2d_does_not_have():
    plain = repr(InterpodilConv2d(3, 4))
    assert plain == (
        "InterpodilConv2d(3, 4, kernel_size=(3, 3), stride=(1, 1), dilation=(2, 2), "
        "fade=1, edge=0.5, corner=0.25)"
    )
    full = repr(InterpodilConv2d(3, 4, fade=2, growth=5, edge=0.4, corner=0.1, init_scale=1.5))
    assert "fade=2, growth=5, edge=0.4, corner=0.1, init_scale=1.5" in full
    per_axis = repr(InterpodilConv3d(3, 4, fade=(0, 1, 2), growth=(None, 7, None)))
    assert "fade=(0, 1, 2), growth=(None, 7, None)" in per_axis
    named = repr(InterpodilConv1d(3, 4, tent="cosine", learn_tent=True, algorithm="tent_first"))
    assert "tent='cosine', learn_tent='layer', algorithm='tent_first'" in named


FILES = list(Path(interpodil.__file__).parent.glob("*.py"))


def test_docstring_examples():
    names = {"torch": torch, **{n: getattr(interpodil, n) for n in interpodil.__all__}}
    attempted = 0
    for path in FILES:
        module = importlib.import_module(f"interpodil.{path.stem}")
        results = doctest.testmod(module, extraglobs=names)
        attempted += results.attempted
        assert results.failed == 0, path
    assert attempted > 20


def test_imports_torch_and_the_standard_library_only():
    assert len(FILES) > 5
    allowed = {"torch", "interpodil", *sys.stdlib_module_names}
    for node in (node for path in FILES for node in ast.walk(ast.parse(path.read_text()))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
        assert {name.split(".")[0] for name in names} <= allowed

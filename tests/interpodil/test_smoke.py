"""The package imports, says what it is and runs its own examples."""

import ast
import doctest
import graphlib
import importlib
import sys
from pathlib import Path

import pytest
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


@pytest.mark.parametrize(
    "name",
    [
        "conv",
        "conversion",
        "expansion",
        "functional",
        "init",
        "lazy",
        "optimizer",
        "spread",
        "tents",
    ],
)
def test_docstring_examples(name):
    module = importlib.import_module(f"interpodil.{name}")
    names = {"torch": torch, **{n: getattr(interpodil, n) for n in interpodil.__all__}}
    results = doctest.testmod(module, extraglobs=names)
    assert results.attempted > 0
    assert results.failed == 0


FILES = list(Path(interpodil.__file__).parent.rglob("*.py"))


def test_no_import_is_circular():
    """Not even one inside a function."""
    imports = {}
    for path in FILES:
        parts = path.relative_to(Path(interpodil.__file__).parents[1]).with_suffix("").parts
        nodes = ast.walk(ast.parse(path.read_text()))
        imports[".".join(parts).removesuffix(".__init__")] = {
            node.module for node in nodes if isinstance(node, ast.ImportFrom)
        }
    # Modules of a package import each other past its `__init__`, which imports them.
    graphlib.TopologicalSorter(imports).prepare()


def test_imports_torch_and_the_standard_library_only():
    assert len(FILES) > 5
    allowed = {"torch", "interpodil", *sys.stdlib_module_names}
    for node in (node for path in FILES for node in ast.walk(ast.parse(path.read_text()))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module]
        assert {name.split(".")[0] for name in names} <= allowed

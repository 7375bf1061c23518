"""The pictures of the layer's page show what they say."""

import pytest
import torch
from PIL import Image

from docs.figures import __main__ as figures
from docs.figures.card import DENSITY, WIDTH
from docs.figures.frequency import (
    COEFFICIENTS,
    EDGES,
    frequencies,
    line_response,
    plane_response,
)
from docs.figures.kernels import GALLERY, STEPS, WEIGHTS

EXAMPLES = [example for examples in (STEPS, *GALLERY) for example in examples]


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("edge", EDGES)
def test_the_tent_along_one_axis_has_the_response_written_over_it(edge):
    values = line_response(edge)
    assert_equal(values, ((1 + 2 * edge * frequencies().cos()) / (1 + 2 * edge)).abs())
    assert values[-1].item() == pytest.approx(abs(1 - 2 * edge) / (1 + 2 * edge), abs=1e-12)


@pytest.mark.parametrize(("edge", "corner"), COEFFICIENTS)
def test_the_tent_in_the_plane_has_its_closed_response(edge, corner):
    x, y = frequencies().cos(), frequencies().cos()[:, None]
    closed = 1 + 2 * edge * (x + y) + 4 * corner * x * y
    assert_equal(plane_response(edge, corner), (closed / closed[0, 0]).abs())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_the_marked_pixels_hold_the_base_weights(example):
    taps = torch.tensor(example.taps)
    assert_equal(example.kernel[taps][:, taps], torch.tensor(WEIGHTS, dtype=torch.float64))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_a_kernel_has_the_size_in_its_heading(example):
    size = len(example.kernel)
    assert f"{size}x{size}" in f"{example.title} {example.note}"


def test_all_pictures_are_drawn_as_wide_as_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["figures", str(tmp_path)])
    figures.main()
    for name in figures.PICTURES:
        with Image.open(tmp_path / name) as picture:
            assert picture.width == DENSITY * WIDTH
        assert (figures.IMAGES / name).is_file()

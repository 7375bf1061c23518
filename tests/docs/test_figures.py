"""The pictures of the layer's page show what they say."""

import math

import pytest
import torch
from PIL import Image

from docs.figures import __main__ as figures
from docs.figures.card import DENSITY, WIDTH
from docs.figures.frequency import (
    BASE,
    COEFFICIENTS,
    EDGES,
    frequencies,
    kernel_response,
    line_response,
    plane_response,
)
from docs.figures.kernels import GALLERY, STEPS, WEIGHTS
from docs.figures.tents import FADES, last_tap, stretched

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


def test_a_dilated_kernel_repeats_at_pi_what_it_does_at_0():
    values = kernel_response(edge=0)
    assert_equal(values, values.flip(0))


@pytest.mark.parametrize("edge", EDGES)
def test_the_whole_effective_kernel_has_the_product_of_both_responses(edge):
    assert_equal(kernel_response(edge=edge), line_response(edge) * kernel_response(edge=0))


@pytest.mark.parametrize("edge", EDGES)
def test_the_cropped_kernel_keeps_some_of_the_copy_at_pi(edge):
    w0, w1, w2 = BASE
    at_pi = w0 * (1 - edge) + w1 * (1 - 2 * edge) + w2 * (1 - edge)
    at_0 = w0 * (1 + edge) + w1 * (1 + 2 * edge) + w2 * (1 + edge)
    values = kernel_response(edge=edge, growth=5)
    assert values[-1].item() == pytest.approx(at_pi / at_0, abs=1e-12)


@pytest.mark.parametrize("fade", FADES)
def test_the_stretched_tent_goes_through_its_pixels_and_ends_at_the_fade_plus_1(fade):
    corners, heights = stretched(fade)
    assert corners[-1] == fade + 1
    pixels, values = last_tap(fade)
    assert len(pixels) == 3 + 2 * math.ceil(fade)
    for pixel, value in zip(pixels.tolist(), values.tolist(), strict=True):
        if pixel < corners[0]:
            assert value == 0
            continue
        after = max(1, int((corners < pixel).sum()))
        share = (pixel - corners[after - 1]) / (corners[after] - corners[after - 1])
        line = torch.lerp(heights[after - 1], heights[after], share)
        assert value == pytest.approx(line.item(), abs=1e-12)


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

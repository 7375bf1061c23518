"""Numbers as people read them."""

import math

import pytest

from sweeps.numbers import written


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (1.2e-05, "1.2e-05"),
        (9999.6, "10000"),
        (22630.8, "22630"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_written_without_an_exponent_where_they_are_large(value, text):
    assert written(value) == text

"""What is written as YAML is read back as it was, whatever strings and numbers it holds."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweeps.errors import SweepsError
from sweeps.export.exported import Environment, Exported, ExportedData, Source, read_exported
from sweeps.spec.files import dump_yaml, load_yaml, write_whole

#: Strings that some YAML reads as something else, or writes on several lines.
CATCHES = [
    *("1e3", "1e-3", "12345678e901", "+1.E+5", "-1e3", "1.5", ".5", "1_000", "0x1F", "0o17", "017"),
    *("0b1", "0b_", "190:20:30", ".inf", "-.INF", ".nan", "true", "No", "on", "OFF", "y", "N"),
    *("null", "Null", "~", "", "=", "<<", "2001-12-14", "2026-13-45", "2001-12-14t21:59:43.10Z"),
    *(" leading", "trailing ", " ", "a: b", "a #b", "- a", "? a", "&a", "*a", "!a", "%a", "@a"),
    *(
        *("`a", "|", ">", "{", "[", "'", '"', "\\", "---", "...", "--- a", "\ufeff", "\ufeffa"),
        *("é", "😀"),
    ),
    *("a\nb", "\n", "\n\n a", "a\r", "a\r\nb", "a\tb", "\t", "a\x85", "\x85", "a\u2028b", "\u2029"),
    *("\x00", "\x07", "\x1b[0m", "\x7f", "\x9f", "\ufffe", "\uffff", "\ud800"),
    "word " * 60,
]

strings = st.one_of(
    st.text(),
    st.sampled_from(CATCHES),
    st.lists(st.sampled_from(CATCHES), max_size=3).map("".join),
    st.from_regex(r"\A[-+]?[0-9_.]{1,4}([eE][-+]?[0-9]{1,3})?\Z"),
    st.floats().map(repr),
    st.dates().map(str),
)
scalars = st.one_of(
    strings, st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, width=64)
)
trees = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(strings, inner)), max_leaves=8
)
often = settings(derandomize=True, max_examples=30, deadline=None, database=None)


@pytest.mark.parametrize("text", CATCHES, ids=ascii)
def test_a_string_that_looks_like_something_else_is_read_back(text):
    tree = {"value": text, text: "key", "list": [text], "inner": {text: [text]}}
    assert load_yaml(dump_yaml(tree), "x") == tree


@often
@given(tree=st.dictionaries(strings, trees))
def test_every_tree_is_read_back_with_its_types(tree):
    assert repr(load_yaml(dump_yaml(tree), "x")) == repr(tree)


def test_numbers_are_read_back_as_numbers():
    values = [1e-05, 1e16, 1e22, 5e-324, -0.0, 2**70, math.inf, 0.1 + 0.2, 1.0, 1]
    assert repr(load_yaml(dump_yaml({"a": values}), "x")["a"]) == repr(values)


@often
@given(text=strings, other=strings, value=st.floats(allow_nan=False, allow_infinity=False))
@example(text="1e-3", other="12345678e901", value=1e-05)
@example(text="\ud800", other="a\udcff", value=1e22)
def test_an_exported_configuration_is_read_back_as_it_was(text, other, value):
    exported = _exported(text, other, value)
    assert Exported.model_validate(load_yaml(exported.to_yaml(), "x")) == exported


def test_a_file_is_read_in_the_encoding_in_which_it_is_written(tmp_path):
    exported = _exported("größe \u2028 😀", "1e3", 1e-05)
    path = tmp_path / "best.yaml"
    write_whole(path, exported.to_yaml().encode())
    assert read_exported(path) == exported


def _exported(text, other, value):
    return Exported(
        data=ExportedData(name=text, fingerprint=other),
        source=Source(
            study=text,
            storage=other,
            trial=3,
            baseline=other,
            metric="val_loss",
            value=value,
            params={text: other, f"{other} too": value, f"{other} also": [text, None, True, 7]},
            finished=text,
            environment=Environment(
                device="cpu",
                device_name=text,
                threads=1,
                python=other,
                libraries={text: other},
                commit=other,
            ),
        ),
    )


@pytest.mark.parametrize(
    "text", ["a: 0b_", "a: 2026-13-45", "a: " + "9" * 5000, "a: " + "[" * 1000]
)
def test_what_is_no_value_is_refused_in_one_line(text):
    with pytest.raises(SweepsError, match=r"^mine\.yaml: not valid YAML: .+$"):
        load_yaml(text, "mine.yaml")

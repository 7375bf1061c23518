"""Code that a spec names: imported, or refused with the reason."""

import sys

import pytest
from pydantic import BaseModel, ValidationError

from sweeps.errors import SweepsError
from sweeps.spec.imports import Reference, import_object


class Spec(BaseModel):
    build: Reference


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module of a person into the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])

    def call(text, name="mynets"):
        (tmp_path / f"{name}.py").write_text(text)
        sys.path_importer_cache.clear()

    return call


@pytest.mark.parametrize(
    "text", ["mynets", "mynets:", ":build", "my-nets:build", "a/b.py:c", "a:b:c"]
)
def test_another_form_is_refused_without_an_import(text):
    with pytest.raises(ValidationError, match="write module:name, as in mynets:build"):
        Spec(build=text)


def test_it_is_found_in_the_working_directory(write, tmp_path):
    write("class Nets:\n    def build(): return 7\n")
    found = import_object(Spec(build="mynets:Nets.build").build, "model.import")
    assert found.value() == 7
    assert found.file == tmp_path / "mynets.py"
    assert str(found) == f"mynets:Nets.build from {tmp_path / 'mynets.py'}"


def test_the_digest_tells_a_changed_file(write):
    digests = []
    for text in ("def build(): return 1\n", "def build(): return 1\n", "def build(): return 22\n"):
        write(text)
        digests.append(import_object("mynets:build", "model.import").digest)
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == len("sha256:") + 16


@pytest.mark.parametrize(
    ("text", "reference", "message"),
    [
        ("", "nonets:build", r"there is no module nonets in .* or on the Python path"),
        ("", "mynets.inner:build", r"importing mynets.inner failed|no module mynets.inner"),
        ("def build(): pass", "mynets:biuld", "mynets.py: no such name; did you mean build"),
        ("import nothere", "mynets:build", r"No module named 'nothere' .*mynets.py, line 1"),
        ("x = 1\n1 / 0", "mynets:build", r"ZeroDivisionError: .*mynets.py, line 2"),
        ("x = 1\ndef build(:", "mynets:build", r"SyntaxError: .*mynets.py, line 2"),
    ],
)
def test_what_cannot_be_imported_is_refused_with_the_place(write, text, reference, message):
    write(text)
    with pytest.raises(SweepsError, match=f"^model.import: {reference}: .*{message}") as refused:
        import_object(reference, "model.import")
    assert "\n" not in str(refused.value)

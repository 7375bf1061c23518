"""The command line: help, exit statuses, and mistakes told in one line."""

import io
import json
import os
import re
import resource
import signal
import sqlite3
import sys
import tarfile

import optuna
import pytest
from PIL import Image

from storage import end_trial, open_storage
from sweeps.errors import SweepsError
from sweeps.spec.files import dump_yaml, write_whole
from sweeps.spec.spec import check_study_name, parse_spec
from sweeps.study.study import open_or_create_study
from tests.storage.claiming import at_work


def test_every_command_has_help_that_does_not_wait_for_torch(cli):
    before = set(sys.modules)
    status, out, _ = cli("--help")
    assert status == 0
    commands = re.findall(r"^  ([a-z]+) ", out.split("Commands:")[1], re.MULTILINE)
    assert {"run", "worker", "status", "export", "train", "data", "dashboard"} <= set(commands)
    for command in commands:
        status, out, _ = cli(command, "--help")
        assert (status, out.split(" [")[0]) == (0, f"Usage: sweeps {command}")
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] == "torch"}
    status, out, _ = cli("--version")
    assert (status, out.split()[0]) == (0, "sweeps,")


@pytest.mark.parametrize(
    "arguments",
    [
        ["rnu"],
        ["run"],
        ["run", "quick", "--workers", "0"],
        ["run", "quick", "--trials", "many"],
        ["run", "quick", "--timeout", "0"],
        ["export", "--top", "0"],
        ["data", "import", "mine"],
        ["dashboard", "--port", "70000"],
    ],
)
def test_bad_usage_exits_with_2(cli, arguments):
    status, out, err = cli(*arguments)
    assert status == 2
    assert out == ""
    assert "Error: " in err


def _files(folder):
    """What stands there, but for SQLite's own files beside an open database."""
    names = (path.name for path in folder.iterdir())
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))


def _text_file(folder):
    (folder / "sweeps.db").write_text("hello")


def _foreign(folder):
    with sqlite3.connect(folder / "sweeps.db") as database:
        database.execute("CREATE TABLE invoices (id)")


def _empty_storage(folder):
    open_storage(str(folder / "sweeps.db"), create=True)


def _bad_spec(folder):
    (folder / "mine.yaml").write_text(
        "name: x\nserach: {}\nbudget: {trials: 1}\nsearch: {layer.edge: {float: [0, 1]}}\n"
    )


def _bad_config(folder):
    (folder / "best.yaml").write_text("layer: {egde: 1}\n")


def _no_setup(folder):
    pass


@pytest.mark.parametrize(
    ("set_up", "arguments", "message"),
    [
        (_no_setup, ["run", "quik"], "quik: no such preset; did you mean quick?"),
        (_no_setup, ["run", "mine.yaml"], "mine.yaml: no such file"),
        (_bad_spec, ["run", "mine.yaml"], "mine.yaml: serach: no such key; did you mean search?"),
        (_no_setup, ["run", "quick", "--devices", "cuda:99"], "device cuda:99"),
        (_no_setup, ["run", "quick", "--devices", "gpu"], "device 'gpu': use auto"),
        (_no_setup, ["run", "quick", "--storage", "no/where.db"], "does not exist; create it"),
        (_no_setup, ["run", "quick", "--storage", "mysql://x/y"], "mysql is not supported"),
        (_text_file, ["run", "quick"], "sweeps.db: is not a SQLite database"),
        (_foreign, ["run", "quick"], "the database of another program (it holds invoices)"),
        (_no_setup, ["status"], "sweeps.db: no such storage; `sweeps run` makes one"),
        (_no_setup, ["export"], "sweeps.db: no such storage"),
        (_no_setup, ["worker"], "sweeps.db: no such storage"),
        (_no_setup, ["dashboard"], "sweeps.db: no such storage"),
        (_empty_storage, ["status"], "holds no study yet"),
        (_empty_storage, ["export", "some"], "holds no study yet"),
        (_no_setup, ["worker", "--device", "cuda:99"], "device cuda:99 does not exist here"),
        (_no_setup, ["worker", "--device", "gpu"], "name auto, cpu, or one GPU"),
        (_no_setup, ["train", "best.yaml"], "best.yaml: no such file; `sweeps export"),
        (_bad_config, ["train", "best.yaml"], "layer.egde: no such key; did you mean edge?"),
        (_no_setup, ["data", "import", "mine", "nowhere.tar"], "nowhere.tar"),
        (_no_setup, ["data", "import", "Mine!", "."], "Mine!"),
    ],
)
def test_a_mistake_is_one_line_on_stderr_and_exits_with_1(
    cli, tmp_path, monkeypatch, set_up, arguments, message
):
    # Commands of a real process set these for themselves.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    set_up(tmp_path)
    before = _files(tmp_path)
    status, out, err = cli(*arguments)
    assert (status, out) == (1, "")
    assert message in err
    assert err.startswith("sweeps: ")
    assert err.count("\n") == 1, err
    assert _files(tmp_path) == before


def test_an_option_can_be_set_by_its_environment_variable(cli, monkeypatch):
    monkeypatch.setenv("SWEEPS_STORAGE", "elsewhere.db")
    status, _, err = cli("status")
    assert status == 1
    assert "elsewhere.db" in err


def test_a_programming_error_keeps_its_traceback(cli, monkeypatch):
    def broken(*_args, **_settings):
        raise KeyError("oops")

    monkeypatch.setattr("sweeps.spec.spec.load_spec", broken)
    from sweeps.cli import main

    monkeypatch.setattr(sys, "argv", ["sweeps", "run", "quick"])
    with pytest.raises(KeyError, match="oops"):
        main()


class TestData:
    def _archive(self, folder):
        with tarfile.open(folder / "mine.tar", "w") as archive:
            for split, count in (("train", 12), ("test", 4)):
                for label in range(2):
                    for index in range(count):
                        file = io.BytesIO()
                        color = (100 * label, index, 0)
                        Image.new("RGB", (8, 8), color).save(file, "PNG")
                        member = tarfile.TarInfo(f"{split}/class{label}/{index}.png")
                        member.size = file.tell()
                        file.seek(0)
                        archive.addfile(member, file)

    def test_an_import_is_listed_and_a_sweep_finds_it(self, cli, tmp_path, small):
        self._archive(tmp_path)
        status, out, _ = cli("data", "import", "mine", "mine.tar")
        assert status == 0
        assert "mine imported: 24 train and 8 test images of 8 x 8 pixels, 2 classes" in out
        status, out, _ = cli("data", "import", "mine", "mine.tar")
        assert "mine is there already" in out
        status, out, _ = cli("data", "list")
        assert status == 0
        row = next(line for line in out.splitlines() if "mine" in line)
        assert row.split()[:5] == ["mine", "import", "8", "24", "8"]
        for known in ("cifar10", "imagenette", "stl10", "patterns"):
            assert known in out
        small["data"] = {"name": "mine", "validation": 0.25}
        small["training"]["batch_size"] = 9
        (tmp_path / "spec.yaml").write_text(dump_yaml(small))
        status, out, err = cli("run", "spec.yaml", "--dry-run", "--workers", "1")
        assert status == 0, err
        assert "mine, 8 x 8 pixels, 2 classes: 18 to train on, 6 to validate on" in out


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path):
    """The largest file that the process may write stands for the disk."""
    target = tmp_path / "best.yaml"
    target.write_text("what was there before")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        try:
            write_whole(target, b"x" * 10_000)
        except SweepsError as error:
            os._exit(7 if "best.yaml: cannot be written" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert target.read_text() == "what was there before"
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]


class TestNextCommands:
    @pytest.mark.parametrize(
        ("storage", "shown"),
        [
            ("sqlite:///sweeps.db", "sweeps dashboard"),
            ("my results.db", "sweeps dashboard --storage 'my results.db'"),
            ("postgresql://me:secret@host/db", "sweeps dashboard --storage URL"),
            ("postgresql://me@host/db", "sweeps dashboard --storage postgresql://me@host/db"),
        ],
    )
    def test_they_name_the_storage_and_no_password(self, storage, shown, monkeypatch):
        from sweeps.cli.run import _next_commands

        for name in ("SWEEPS_STORAGE", "MAKELEVEL"):
            monkeypatch.delenv(name, raising=False)
        assert _next_commands("study", storage, newest=True)[0] == shown
        monkeypatch.setenv("SWEEPS_STORAGE", storage)
        assert _next_commands("study", storage, newest=True)[0] == "sweeps dashboard"


ODD_NAMES = [
    *("", ".", "..", "a/b", "/a", "../a", "a\\b", "a b", " a", "a ", "-a", "--json", "_a", "a\nb"),
    *("a\n", "a\tb", "a\x00b", "\x1b[31ma", "a\x7f", "\u202ea", "a\u2028", "[bold]a", "x" * 600),
    *("ü" * 100, "$HOME", "a;b", "a'b", "a%2fb", "😀"),
]


class TestStudyNames:
    @pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
    def test_one_that_makes_trouble_is_refused_before_anything_starts(self, cli, tmp_path, name):
        for arguments in (
            ["run", "quick", f"--study={name}"],
            ["storage", "copy", "sweeps.db", "copy.db", f"--as={name}"],
        ):
            status, out, err = cli(*arguments)
            assert (status, out, err.count("\n")) == (1, "", 1)
            option = arguments[-1].split("=")[0]
            assert err.startswith(f"sweeps: {option} ")
            assert "use letters, digits" in err
            assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", [name for name in ODD_NAMES if len(name) < 50], ids=ascii)
    def test_a_spec_has_the_same_rule(self, small, name):
        with pytest.raises(SweepsError, match="name: use letters, digits"):
            parse_spec({**small, "name": name}, "mine.yaml")

    @pytest.mark.parametrize("name", ["a", "7", "quick-cifar10", "a.b_c-", "größe", "x" * 200])
    def test_any_other_is_taken(self, small, name):
        assert parse_spec({**small, "name": name}, "mine.yaml").name == name
        check_study_name(name, "--study")

    def test_those_that_a_storage_has_already_are_shown(self, cli, tmp_path):
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
        for name in ODD_NAMES[1::5]:
            study = optuna.create_study(storage=storage, study_name=name)
            study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
            status, out, _ = cli("status", "--json", "--", name)
            assert status == 0
            assert json.loads(out)["study"] == name
            assert cli("status", "--", name)[0] == 0
            assert "was not run by" in cli("export", "--", name)[2]

    def test_a_study_that_has_such_a_name_already_is_resumed(
        self, cli, tmp_path, small, patterns, data_dir
    ):
        small["budget"], small["baselines"] = {"trials": 1}, []
        (tmp_path / "mine.yaml").write_text(dump_yaml(small))
        storage = open_storage(str(tmp_path / "sweeps.db"), create=True)
        study = open_or_create_study(storage, parse_spec(small, "mine.yaml"), "a b", patterns)
        with at_work(storage, study) as trial:
            end_trial(storage, study, trial.number, "completed", value=0.5)
        status, out, err = cli("run", "mine.yaml", "--study=a b", f"--data-dir={data_dir}")
        assert (status, "1 of 1 trials" in out) == (0, True), err

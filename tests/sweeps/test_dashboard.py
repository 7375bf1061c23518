"""The dashboard: what it shows, what it refuses, and the page in a real browser."""

import json
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import optuna
import pytest

from storage import open_storage, open_study
from sweeps.data import open_dataset
from sweeps.notes import write_note
from sweeps.spec import parse_spec
from sweeps.study import open_or_create_study
from tests.sweeps.conftest import SMALL, Place
from tests.sweeps.waiting import wait_for

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def place(tmp_path_factory, data_dir):
    """A folder with a study of a complete, a pruned and a diverged trial."""
    place = Place(tmp_path_factory.mktemp("dashboard"), data_dir)
    storage = open_storage(str(place.folder / "sweeps.db"), create=True)
    dataset = open_dataset("patterns", data_dir, 16, progress=False)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = open_or_create_study(storage, parse_spec(SMALL, "small"), "shown", dataset)
    for value, state in ((0.5, None), (0.25, "PRUNED"), (float("nan"), "PRUNED")):
        trial = study.ask()
        trial.set_user_attr("kernel_size", "7x7")
        write_note(trial, "The **note** of a trial")
        trial.report(value, 1)
        pruned = optuna.trial.TrialState.PRUNED if state else None
        study.tell(trial, None if state else value, state=pruned)
    return place


def _serve(place, *arguments):
    process = place.start("dashboard", "--port", "0", *arguments)
    line = process.stderr.readline()
    address = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert address, line + process.stderr.read()
    return process, address[0]


@pytest.fixture(scope="module")
def address(place):
    process, address = _serve(place)
    yield address
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    process.stderr.close()
    process.stdout.close()


def _request(url, method="GET", **headers):
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_the_study_and_its_trials_are_served(address):
    status, body = _request(f"{address}/api/studies")
    [summary] = json.loads(body)["study_summaries"]
    assert (status, summary["study_name"]) == (200, "shown")
    status, body = _request(f"{address}/api/studies/{summary['study_id']}?after=0")
    detail = json.loads(body)
    assert "layer.init_scale:" in detail["note"]["body"]
    trial = detail["trials"][0]
    assert trial["note"]["body"] == "The **note** of a trial"
    assert {"key": "kernel_size", "value": "7x7"} in trial["user_attrs"]


def test_static_files_are_served_without_accept_encoding(address):
    status, body = _request(f"{address}/dashboard/")
    script = re.search(rb'src="(/static/[^"]+)"', body)[1].decode()
    status, body = _request(f"{address}{script}")
    assert status == 200
    assert len(body) > 10_000


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT"])
def test_changes_are_refused(address, place, method):
    status, body = _request(f"{address}/api/studies/1", method)
    assert status == 403
    assert b"--writable" in body
    assert open_study(open_storage(str(place.folder / "sweeps.db"))).study_name == "shown"


def test_a_name_that_merely_resolves_to_this_machine_is_refused(address):
    status, _ = _request(f"{address}/api/studies", Host="evil.example")
    assert status == 403


def test_a_writable_one_takes_changes_from_its_own_page_alone(place):
    process, address = _serve(place, "--writable")
    try:
        path = f"{address}/api/studies/77"
        assert _request(path, "DELETE", Origin="http://evil.example")[0] == 403
        assert _request(path, "DELETE", Origin=address)[0] == 404
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_port_in_use_is_told(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = place.run("dashboard", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "choose another with --port" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_the_note(address, tmp_path):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += ["--no-first-run", "--disable-background-networking", "--disable-sync"]
    command += ["--disable-component-update", f"--user-data-dir={tmp_path}"]
    command += ["--virtual-time-budget=20000", "--dump-dom"]

    def note_is_shown():
        shown = subprocess.run(
            [*command, f"{address}/dashboard/studies/1/trials?numbers=0"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return "<strong>note</strong> of a trial" in shown.stdout

    wait_for(note_is_shown, "the trial's note in the page", seconds=120)

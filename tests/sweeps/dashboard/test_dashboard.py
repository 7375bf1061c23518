"""The dashboard on this machine alone: what it shows, and what it refuses."""

import re

import optuna
import pytest

from storage import open_storage, open_study
from sweeps.data import open_data
from sweeps.spec.data import DataConfig
from sweeps.spec.spec import parse_spec
from sweeps.study.notes import write_note
from sweeps.study.study import open_or_create_study
from tests.sweeps.conftest import SMALL, Place
from tests.sweeps.dashboards import Dashboard


@pytest.fixture(scope="module")
def place(tmp_path_factory, data_dir):
    """A folder with a study of a complete, a pruned and a diverged trial."""
    place = Place(tmp_path_factory.mktemp("dashboard"), data_dir)
    storage = open_storage(str(place.folder / "sweeps.db"), create=True)
    dataset = open_data(DataConfig(name="patterns"), data_dir, 16)
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


@pytest.fixture(scope="module")
def dashboard(place):
    with Dashboard(place) as dashboard:
        yield dashboard


@pytest.fixture(scope="module")
def writable(place):
    with Dashboard(place, "--writable") as dashboard:
        yield dashboard


def test_the_study_and_its_trials_are_served(dashboard):
    answer = dashboard.ask("/api/studies")
    [summary] = answer.json["study_summaries"]
    assert (answer.status, summary["study_name"]) == (200, "shown")
    detail = dashboard.ask(f"/api/studies/{summary['study_id']}?after=0").json
    assert "layer.init_scale:" in detail["note"]["body"]
    trial = detail["trials"][0]
    assert trial["note"]["body"] == "The **note** of a trial"
    assert {"key": "kernel_size", "value": "7x7"} in trial["user_attrs"]


def test_static_files_are_served_without_accept_encoding(dashboard):
    page = dashboard.ask("/dashboard/")
    script = re.search(r'src="(/static/[^"]+)"', page.text)[1]
    answer = dashboard.ask(script, Accept_Encoding="")
    assert answer.status == 200
    assert len(answer.body) > 10_000


def test_head_and_options(dashboard, writable):
    whole, head = dashboard.ask("/api/studies"), dashboard.ask("/api/studies", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert dashboard.ask("/dashboard", "HEAD").status == 200
    options = dashboard.ask("/api/studies", "OPTIONS", Origin="http://evil.example")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
    assert "Access-Control-Allow-Origin" not in options.headers
    assert "DELETE" in writable.ask("/api/studies", "OPTIONS").headers["Allow"]
    for method in ("TRACE", "PATCH", "BREW"):
        assert writable.ask("/api/studies/1", method).status == 405


@pytest.mark.parametrize("path", ["/", "/dashboard", "/api/studies", "/static/bundle.js", "/none"])
def test_every_answer_is_kept_to_its_reader(dashboard, path):
    headers = dashboard.ask(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "no-store" in headers["Cache-Control"] or path.startswith("/static/")
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers


def test_a_path_that_is_no_text_does_not_get_past_the_rules_for_paths(dashboard):
    """optuna-dashboard drops the bytes, and would serve the page."""
    assert dashboard.ask("/dash%ffboard").status == 400


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT"])
def test_changes_are_refused(dashboard, place, method):
    answer = dashboard.ask("/api/studies/1", method)
    assert answer.status == 403
    assert "--writable" in answer.json["reason"]
    assert open_study(open_storage(str(place.folder / "sweeps.db"))).study_name == "shown"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "192.0.2.7", "[::2]"],
)
def test_a_name_that_merely_resolves_to_this_machine_is_refused(dashboard, host):
    answer = dashboard.ask("/api/studies", Host=host)
    assert answer.status == 403
    assert "--allowed-host" in answer.text


@pytest.mark.parametrize(
    "host", ["", "a b", "[::1", "::1", "[localhost]", "127.0.0.1:x", "evil@localhost", "localhost/"]
)
def test_a_malformed_host_is_refused(dashboard, host):
    assert dashboard.ask("/api/studies", Host=host).status == 400


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:9000", "localhost.", "127.0.0.1:1", "[::1]", "[0::0:1]:8080"]
)
def test_loopback_names_are_answered_whatever_the_port(dashboard, host):
    """An SSH tunnel may begin at another port."""
    assert dashboard.ask("/api/studies", Host=host).status == 200


def test_forwarded_headers_of_strangers_are_not_believed(dashboard):
    answer = dashboard.ask("/", X_Forwarded_Host="evil.example", X_Forwarded_Proto="https")
    assert answer.headers["Location"] == f"{dashboard.address}/dashboard"


@pytest.fixture
def doomed(place):
    """The path of a study that may be deleted."""
    storage = open_storage(str(place.folder / "sweeps.db"))
    study = optuna.create_study(storage=storage, study_name="doomed")
    trial = study.ask()
    study.tell(trial, 1.0)
    yield f"/api/studies/{study._study_id}"
    if "doomed" in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name="doomed", storage=storage)


def test_a_writable_one_takes_changes_from_its_own_page_alone(writable, doomed):
    path, own = doomed, writable.address
    foreign = (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": own.replace("127.0.0.1", "localhost")},
        {"Origin": own.replace("http:", "https:")},
        {"Origin": own.rpartition(":")[0]},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Origin": own},
    )
    for headers in foreign:
        assert writable.ask(path, "DELETE", **headers).status == 403, headers
    assert writable.ask(path).status == 200
    assert writable.ask(path, "DELETE", Origin=own, Sec_Fetch_Site="same-origin").status == 204
    assert writable.ask(path).status == 404


def test_a_study_keeps_its_name(writable, doomed):
    """Renamed by optuna-dashboard, it would be another, without its epochs."""
    answer = writable.ask(f"{doomed}/rename", "POST", body='{"study_name": "another"}')
    assert answer.status == 403
    assert b"studies cannot be renamed here" in answer.body
    assert writable.ask(doomed).status == 200


def test_a_writable_one_takes_changes_from_programs_that_name_no_origin(writable, doomed):
    """A browser always says where a change comes from."""
    assert writable.ask(doomed, "DELETE").status == 204

"""How the dashboard starts: what it says of itself, and when it does not."""

import os
import signal
import socket
import sqlite3

import pytest

from storage import open_storage
from sweeps.dashboard import Settings
from sweeps.dashboard.announcement import announcement
from sweeps.dashboard.hosts import Hosts, host_of
from sweeps.dashboard.server import listen
from tests.sweeps.conftest import Place
from tests.sweeps.dashboards import Dashboard

TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with an empty storage."""
    folder = tmp_path_factory.mktemp("dashboard")
    open_storage(str(folder / "sweeps.db"), create=True)
    return Place(folder, folder)


@pytest.fixture
def refusal(place, cli):
    """The one line that a dashboard says that does not start."""

    def refuse(*arguments):
        storage = ("--storage", str(place.folder / "sweeps.db"))
        status, out, err = cli("dashboard", "--port", "0", *storage, *arguments)
        assert (status, out) == (1, "")
        [line] = err.splitlines()
        return line

    return refuse


def test_what_it_exposes_is_said(place):
    with Dashboard(place) as dashboard:
        [where, what, who, how] = dashboard.lines
        assert dashboard.ask("/api/meta").status == 200
    port = dashboard.address.rpartition(":")[2]
    assert where == f"Dashboard on {dashboard.address}/ (sqlite:///sweeps.db); Ctrl-C ends it"
    assert what == "  It only reads; --writable lets it change and delete."
    assert who == "  Open to every user of this machine, without a login (see --token)."
    assert f"ssh -L {port}:127.0.0.1:{port} " in how
    assert how.endswith(f"then http://localhost:{port}/")
    # Its port is free again at once.
    with Dashboard(place, "--port", port) as second:
        assert second.address == dashboard.address


def test_a_chosen_token_is_not_repeated(place):
    names = {"SWEEPS_TOKEN": TOKEN, "SWEEPS_HOST": "localhost"}
    with Dashboard(place, "--writable", **names) as dashboard:
        assert dashboard.address.startswith("http://localhost:")
        assert dashboard.ask("/api/studies").status == 401
        assert dashboard.ask("/api/studies", Authorization=f"Bearer {TOKEN}").status == 200
        assert dashboard.ask(f"/?token={TOKEN}").status == 303
        assert dashboard.ask(f"/none?token={TOKEN}", Authorization="Bearer wrong").status == 303
    assert TOKEN not in "\n".join(dashboard.lines)
    assert "  Writable: every visitor can edit notes, end trials and delete studies." in (
        dashboard.lines
    )
    assert "  Open to every user of this machine, with the token." in dashboard.lines


def test_a_further_name_is_answered_and_asks_for_a_token(place):
    with Dashboard(place, "--allowed-host", "gpu.example") as dashboard:
        assert f"  Log in with {dashboard.address}/?token=" in dashboard.lines[1]
        token = dashboard.lines[1].partition("=")[2]
        given = {"Authorization": f"Bearer {token}"}
        assert dashboard.ask("/api/studies", Host="gpu.example:99", **given).status == 200
        assert dashboard.ask("/api/studies", Host="gpu.example").status == 401
        assert dashboard.ask("/api/studies", Host="www.gpu.example", **given).status == 403


def test_it_listens_where_it_is_told(place):
    with Dashboard(place, "--host", "127.0.0.5") as dashboard:
        assert dashboard.address.startswith("http://127.0.0.5:")
        assert dashboard.ask("/api/studies").status == 200


def _has_ipv6():
    try:
        listen("::1", 0).close()
    except Exception:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")
def test_it_listens_on_ipv6(place):
    with Dashboard(place, "--host", "::1") as dashboard:
        assert dashboard.address.startswith("http://[::1]:")
        assert dashboard.ask("/api/studies", source="::1").status == 200
        assert "-L" in dashboard.lines[-1]
        assert ":[::1]:" in dashboard.lines[-1]


def test_other_addresses_than_this_machines_own_ask_for_a_token():
    for settings, address in (
        (Settings(host="0.0.0.0"), "0.0.0.0"),
        (Settings(host="::"), "::"),
        (Settings(host="gpu"), "192.0.2.7"),
        (Settings(behind_tls=True), "127.0.0.1"),
        (Settings(allowed_hosts=("localhost", "gpu.example")), "127.0.0.1"),
    ):
        assert settings.is_exposed(address), settings
    for host in ("127.0.0.1", "127.8.8.8", "::1"):
        assert not Settings(host=host, allowed_hosts=("localhost",)).is_exposed(host)


def test_an_exposed_one_says_so():
    lines = announcement(Settings(host="0.0.0.0"), "0.0.0.0", 8080, "sqlite:///s.db", "made-up")
    text = "\n".join(lines)
    assert f"Log in with http://{socket.gethostname()}:8080/?token=made-up" in text
    assert "every machine that reaches any address of this one, with the token" in text
    assert "Plain HTTP: anyone listening on the network can read the token and the pages" in text
    assert "ssh -L 8080:127.0.0.1:8080 " in text
    lines = announcement(Settings(host="192.0.2.7", token=TOKEN), "192.0.2.7", 80, "s", None)
    assert any("every machine that reaches 192.0.2.7, with the token" in line for line in lines)


def test_the_names_of_an_exposed_one():
    everywhere = Hosts("0.0.0.0", "0.0.0.0")
    for name in ("192.0.2.7", "[2001:db8::7]:80", "localhost:1", socket.gethostname()):
        assert everywhere.know(host_of(name)), name
    assert not everywhere.know(host_of("evil.example"))
    one = Hosts("gpu", "192.0.2.7", ["[2001:DB8:0::7]", "gpu.example."])
    for name in ("GPU", "192.0.2.7:80", "[2001:db8::7]", "gpu.example", "127.0.0.1"):
        assert one.know(host_of(name)), name
    for name in ("192.0.2.8", "[2001:db8::8]", "gpu2", "evil.example"):
        assert not one.know(host_of(name)), name


def test_a_port_in_use_is_told(refusal):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        line = refusal("--port", str(taken.getsockname()[1]))
    assert line.endswith("(Address already in use); choose another with --port")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.7", "--host 192.0.2.7: not an address of this machine"),
        ("no-such-host.invalid", "--host no-such-host.invalid: no such host"),
        ("", "--host : no such host"),
        ("a b", "--host a b: no such host"),
        ("x" * 70, "not the name of a host"),
    ],
)
def test_a_host_that_is_not_here_is_told(refusal, host, words):
    assert words in refusal("--host", host)


def test_a_missing_file_is_told_and_not_made(refusal, tmp_path):
    assert "none.db" in refusal("--storage", "none.db")
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_told(refusal, tmp_path):
    (tmp_path / "text.db").write_text("no database " * 100)
    assert "text.db" in refusal("--storage", "text.db")


def test_an_empty_database_is_served_until_an_interrupt(place):
    """As for a dashboard that is started before the first sweep's tables are there."""
    sqlite3.connect(place.folder / "empty.db").close()
    with Dashboard(place, "--storage", "empty.db") as dashboard:
        assert dashboard.ask("/api/studies").json == {"study_summaries": []}
        assert dashboard.interrupt(signal.SIGINT) == 0


def test_tokens_that_are_no_good_are_told(refusal, tmp_path):
    assert "too short" in refusal("--token", TOKEN[:-1])
    assert "control characters" in refusal("--token", "0123456789\t0123456789")
    assert "No such file" in refusal("--token-file", "none")
    (tmp_path / "short").write_text("abc\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n")
    assert "a token of 3 characters is too short" in refusal("--token-file", "short")
    (tmp_path / "bytes").write_bytes(b"\xff" * 20)
    assert "not UTF-8" in refusal("--token-file", "bytes")


def test_a_token_given_twice_is_bad_usage(cli):
    status, _, err = cli("dashboard", "--token", TOKEN, "--token-file", os.devnull)
    assert status == 2
    assert "given twice" in err

"""Notifications: a real HTTP server on the loopback, real commands, a real sweep."""

import contextlib
import http.server
import json
import socket
import threading
import time
from urllib.parse import parse_qsl

import pytest

from sweeps.errors import Stopped, SweepsError
from sweeps.reporting import show_log
from sweeps.reporting.channels import Command, Service
from sweeps.reporting.notifications import KINDS, Channel, Notifier
from tests.sweeps.waiting import is_gone, wait_for


class Server:
    """A webhook that gives these answers, the last of them again and again.

    Attributes:
        got: the JSON object or form fields of each request, in their order.
    """

    def __init__(self, *answers: int | str) -> None:
        server = self
        self.answers = list(answers) or [200]
        self.got: list[dict] = []
        self.headers: list[dict] = []
        self.released = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                is_json = self.headers["Content-Type"] == "application/json"
                server.got.append(json.loads(body) if is_json else dict(parse_qsl(body)))
                server.headers.append({"path": self.path, **self.headers})
                answer = server.answers[0]
                if len(server.answers) > 1:
                    server.answers.pop(0)
                if answer == "hang":
                    server.released.wait(60)
                    return
                self.send_response(answer)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/services/SECRET"

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve():
    servers = []

    def start(*answers):
        servers.append(Server(*answers))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def notify(report):
    """Run a sweep that notifies; returns what was logged of the notifications."""

    def run(channel, *steps, kinds=KINDS, error=None):
        said = []
        with show_log(said.append), contextlib.closing(Notifier([channel], kinds)) as notifier:
            report(*steps, sinks=[notifier], error=error)
        return said

    return run


class TestService:
    def test_a_plain_url_gets_the_event_and_a_server_in_trouble_further_tries(
        self, study, serve, notify
    ):
        server = serve(500, 503, 200)
        url = server.url.replace("://", "://me:p%40ss@") + "?key=a%20b"
        assert notify(Service(url), *[lambda: study.run(0.5)] * 4) == []
        assert len(server.got) == 3
        assert server.got[0] == server.got[1] == server.got[2]
        body = server.got[0]
        assert (body["event"], body["how"], body["finished"]) == ("sweep_ended", "finished", 4)
        assert body["text"] == (
            "handmade is finished: 4 of 4 trials, best val_accuracy 0.5000 in trial 0"
        )
        assert set(body).isdisjoint({"title", "message", "version", "type", "attachments"})
        headers = server.headers[0]
        assert headers["path"] == "/services/SECRET?key=a%20b"
        assert headers["Content-Type"] == "application/json"
        assert headers["Authorization"] == "Basic bWU6cEBzcw=="

    def test_a_person_gets_a_sentence(self, study, serve, notify):
        """Over apprise's services for people: its form fields here, which need no account."""
        server = serve()
        url = server.url.replace("http://", "form://")
        assert notify(Service(url), error=SweepsError("no luck")) == []
        (form,) = server.got
        assert (form["title"], form["message"]) == ("Sweep handmade", "handmade failed: no luck")
        assert form["type"] == "failure"

    def test_a_failure_is_reported_once_and_without_the_secret(self, study, serve, notify):
        """A redirect is one: followed, it would become a GET without the event."""
        server = serve(302)
        study.run(0.1)
        (line,) = notify(Service(server.url), lambda: study.run(0.5))
        assert {body["event"] for body in server.got} == {"new_best", "sweep_ended"}
        assert "error=302" in line
        assert "http://127.0.0.1" in line
        assert "SECRET" not in line

    def test_a_server_that_is_gone_holds_nothing_up(self, study, notify):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        before = time.monotonic()
        (line,) = notify(Service(f"http://127.0.0.1:{port}/hook"), error=SweepsError("x"))
        assert time.monotonic() - before < 8
        assert "Connection error" in line

    def test_a_server_that_hangs_is_given_up(self, serve, notify):
        service = Service(serve("hang").url)
        assert service.end_seconds == 5
        service.end_seconds = 2.0
        before = time.monotonic()
        (line,) = notify(service)
        assert time.monotonic() - before < 5
        assert "2 seconds" in line

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("ftp://example.org/x", "Unparseable URL ftp://example.org/x; write one of apprise's"),
            ("example.org/hook", "Unsupported URL"),
            ("slack://SECRET", "Could not load Slack URL"),
            ("http:///hook", "it names no host"),
            ("http://example.org:port/", "'port'"),
        ],
    )
    def test_a_url_that_apprise_does_not_know_is_refused(self, cli, url, message):
        status, out, err = cli("run", "quick", "--notify-url", url)
        assert (status, out) == (2, "")
        assert message in " ".join(err.split())

    def test_unknown_kinds_are_refused(self, cli):
        status, _, err = cli("run", "quick", "--notify-on", "finished,bset")
        assert status == 2
        assert "'bset' is none of finished, failed, stopped, best" in err


class TestCommand:
    def test_it_gets_the_event_and_its_words(self, tmp_path, notify):
        out = tmp_path / "got"
        command = f'printf "%s|%s|%s|" "$SWEEPS_EVENT" "$SWEEPS_STUDY" "$SWEEPS_TEXT" > "{out}"'
        error = SweepsError("no $(luck)\nat all")
        assert notify(Command(f'{command}; cat >> "{out}"; echo not shown'), error=error) == []
        name, study_name, text, body = out.read_text().split("|")
        assert (name, study_name) == ("sweep_ended", "handmade")
        assert text == "handmade failed: no $(luck)\nat all"
        event = json.loads(body)
        assert (event["how"], event["reason"]) == ("failed", "no $(luck)\nat all")

    def test_its_failure_is_reported_once_with_its_last_words(self, study, notify):
        study.run(0.1)
        (line,) = notify(Command("echo no such room >&2; exit 3"), lambda: study.run(0.5))
        assert "it ended with status 3: no such room" in line

    def test_one_that_hangs_is_killed_with_its_children(self, tmp_path, notify):
        command = Command(f"sleep 300 & echo $! > {tmp_path}/pid; wait")
        command.end_seconds = 2.0
        (line,) = notify(command)
        assert "2 seconds" in line
        child = int((tmp_path / "pid").read_text())
        wait_for(lambda: is_gone(child) or _is_zombie(child), "the child's end", seconds=10)


def _is_zombie(pid):
    """Whether a process has ended and waits for its parent to take note."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


class Recorder(Channel):
    """A channel that records the numbers of new best trials, and how the sweep ended."""

    title, end_seconds = "the recorder", 10.0

    def __init__(self):
        self.sent = []
        super().__init__()

    def send(self, event):
        self.sent.append(event["trial"] if event["event"] == "new_best" else event["how"])


class TestWhen:
    @pytest.mark.parametrize(
        ("first", "values", "kinds", "sent"),
        [
            # The first best is no news.
            ([], [0.5], KINDS, ["stopped"]),
            # Of many within a minute the first is sent, and the last at the end if that is not.
            ([0.1], [0.2, 0.3, 0.4], KINDS, [1, "stopped"]),
            ([0.1], [0.2, 0.3, 0.4], ("best",), [1, 3]),
            ([0.1], [0.2], (), []),
        ],
    )
    def test_new_bests_and_the_end(self, study, notify, first, values, kinds, sent):
        for value in first:
            study.run(value)
        channel = Recorder()
        steps = [lambda value=value: study.run(value) for value in values]
        notify(channel, *steps, kinds=kinds, error=Stopped(15))
        assert channel.sent == sent

    # The second baseline runs on in the end.
    @pytest.mark.parametrize(
        ("values", "sent"), [((0.5, 0.6, 0.55, 0.7), [3]), ((0.5, None, 0.6, 0.7), [])]
    )
    def test_baselines_are_no_news_and_nothing_is_before_they_have_ended(
        self, study, notify, values, sent
    ):
        study.queue("plain")
        study.queue("linear")
        channel = Recorder()
        steps = [lambda v=v: study.start() if v is None else study.run(v) for v in values]
        notify(channel, *steps, kinds=("best",))
        assert channel.sent == sent

    def test_a_minute_later_the_last_is_sent(self, study, notify, monkeypatch):
        study.run(0.1)
        ahead = [0.0]
        real = time.monotonic
        monkeypatch.setattr(
            "sweeps.reporting.notifications.time.monotonic", lambda: real() + ahead[0]
        )
        channel = Recorder()
        notify(
            channel,
            *(lambda value=value: study.run(value) for value in (0.2, 0.3, 0.4)),
            lambda: ahead.__setitem__(0, 61.0),
            lambda: wait_for(lambda: channel.sent == [1, 3], "the last"),
        )


def test_a_real_sweep_notifies(place, serve):
    server = serve(500, 200)
    place.environment |= {
        "SWEEPS_NOTIFY_URL": server.url,
        "SWEEPS_NOTIFY_COMMAND": "cat >> sent; echo sent >&2; false",
    }
    done = place.run("run", place.write_loop(), "--workers", "1", "--trials", "1")
    assert done.returncode == 0, done.stderr
    assert [body["how"] for body in server.got] == ["finished", "finished"]
    assert server.got[1]["best"]["value"] == place.study().best_value
    assert done.stderr.count("Notification failed") == 1
    assert "the notify command: it ended with status 1: sent" in done.stderr
    assert json.loads((place.folder / "sent").read_text())["how"] == "finished"


def test_a_sweep_that_does_not_start_notifies(cli, serve):
    server = serve()
    assert cli("run", "quik", "--notify-url", server.url)[0] == 1
    assert "no such preset" in server.got[-1]["text"]

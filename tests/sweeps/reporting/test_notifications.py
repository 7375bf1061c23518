"""Notifications: a real HTTP server on the loopback, real commands, a real sweep."""

import http.server
import json
import socket
import stat
import threading
import time

import pytest

from sweeps.errors import SweepsError
from sweeps.reporting.notifications import Command, Notifier, NotifyingView, Webhook
from tests.sweeps.handmade import HandmadeStudy
from tests.sweeps.waiting import is_gone, wait_for

ALL = ("finished", "failed", "stopped", "best")


class Server:
    """A webhook that gives the answers it is told to, the last of them again and again.

    Attributes:
        got: the JSON of each request, in their order.
    """

    def __init__(self, *answers: int | str) -> None:
        server = self
        self.answers = list(answers) or [200]
        self.got: list[dict] = []
        self.headers: list[dict] = []
        self.released = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.got.append(json.loads(body))
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
def study(tmp_path):
    return HandmadeStudy(tmp_path)


class Sweep:
    """A sweep that notifies, its trials moved by hand.

    Attributes:
        said: what a person was told of the notifications.
    """

    def __init__(self, study, *channels, kinds=ALL):
        self._study = study
        self.said = []
        self._notifier = Notifier(channels, kinds, self.said.append)
        self._view = NotifyingView(self._notifier, study.progress())

    def run(self, *steps, error=None):
        try:
            with self._view:
                for step in steps:
                    step()
                    self._view.update(self._study.progress(), None)
                if error is not None:
                    raise error
        except SweepsError:
            pass
        self._notifier.close()


class TestWebhook:
    def test_it_is_tried_again_where_the_server_is_in_trouble(self, study, serve):
        server = serve(500, 503, 200)
        sweep = Sweep(study, Webhook(server.url))
        sweep.run(*[lambda: study.run(0.5)] * 4)
        assert sweep.said == []
        assert len(server.got) == 3
        assert server.got[0] == server.got[1] == server.got[2]
        body = server.got[0]
        assert (body["event"], body["how"], body["study"]) == (
            "sweep_ended",
            "finished",
            "handmade",
        )
        words = "handmade is finished: 4 of 4 trials, best val_accuracy 0.5000 in trial 0"
        assert body["text"] == body["content"] == words
        assert server.headers[0]["Content-Type"] == "application/json"
        assert server.headers[0]["path"] == "/services/SECRET"

    def test_user_and_password_go_into_the_header(self, study, serve):
        server = serve()
        sweep = Sweep(study, Webhook(server.url.replace("://", "://me:p%40ss@")))
        sweep.run()
        assert server.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="
        assert sweep.said == []

    @pytest.mark.parametrize(("answer", "reason"), [(404, "404 Not Found"), (302, "302 Found")])
    def test_what_another_try_does_not_cure_is_said_once_and_without_the_secret(
        self, study, serve, answer, reason
    ):
        server = serve(answer)
        study.run(0.1)
        sweep = Sweep(study, Webhook(server.url))
        sweep.run(lambda: study.run(0.5))
        assert [body["event"] for body in server.got] == ["new_best", "sweep_ended"]
        (line,) = sweep.said
        assert f"it answers {reason}" in line
        assert "http://127.0.0.1" in line
        assert "SECRET" not in line

    def test_one_that_is_gone_is_said_once_and_holds_nothing_up(self, study):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        study.run(0.1)
        sweep = Sweep(study, Webhook(f"http://127.0.0.1:{port}/hook"))
        before = time.monotonic()
        sweep.run(lambda: study.run(0.5), error=SweepsError("x"))
        assert time.monotonic() - before < 8
        (line,) = sweep.said
        assert "Connection refused" in line

    def test_one_that_hangs_is_waited_for_a_few_seconds(self, study, serve):
        server = serve("hang")
        sweep = Sweep(study, Webhook(server.url))
        before = time.monotonic()
        sweep.run(*[lambda: study.run(0.5)] * 4)
        assert 4 < time.monotonic() - before < 8
        (line,) = sweep.said
        assert "5 seconds" in line

    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("file:///etc/passwd", "it has to begin with http:// or https://"),
            ("ftp://example.org/x", "it has to begin with http:// or https://"),
            ("example.org/hook", "it has to begin with http:// or https://"),
            ("http:///hook", "it names no host"),
            ("http://example.org:port/", "it is not a URL"),
            ("http://example.org/a b", "blanks or control characters"),
        ],
    )
    def test_other_urls_are_refused_before_anything_starts(self, cli, url, message):
        status, out, err = cli("run", "quick", "--notify-url", url)
        assert (status, out) == (2, "")
        assert message in " ".join(err.split())

    def test_kinds_that_there_are_not_are_refused(self, cli):
        status, _, err = cli("run", "quick", "--notify-on", "finished,bset")
        assert status == 2
        assert "'bset' is none of finished, failed, stopped, best" in err


class TestCommand:
    def test_it_gets_the_event_and_its_words(self, study, tmp_path):
        out = tmp_path / "got"
        script = tmp_path / "notify.sh"
        script.write_text(
            "#!/bin/sh\n"
            f'printf "%s|%s|%s|" "$SWEEPS_EVENT" "$SWEEPS_STUDY" "$SWEEPS_TEXT" > "{out}"\n'
            f'cat >> "{out}"\n'
            "echo this is not shown\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        sweep = Sweep(study, Command(str(script)))
        sweep.run(error=SweepsError("no $(luck)\nat all"))
        assert sweep.said == []
        name, study_name, text, body = out.read_text().split("|")
        assert (name, study_name) == ("sweep_ended", "handmade")
        assert text == "handmade failed: no $(luck)\nat all"
        event = json.loads(body)
        assert (event["how"], event["reason"]) == ("failed", "no $(luck)\nat all")

    def test_its_failure_is_said_once_with_its_last_words(self, study):
        study.run(0.1)
        sweep = Sweep(study, Command("echo no such room >&2; exit 3"))
        sweep.run(lambda: study.run(0.5))
        (line,) = sweep.said
        assert "it ended with status 3: no such room" in line

    def test_one_that_hangs_is_ended_with_its_children(self, study, tmp_path):
        command = Command(f"sleep 300 & echo $! > {tmp_path}/pid; wait")
        command.end_seconds = 2.0
        sweep = Sweep(study, command)
        sweep.run()
        (line,) = sweep.said
        assert "2 seconds" in line
        child = int((tmp_path / "pid").read_text())
        wait_for(lambda: is_gone(child) or _is_zombie(child), "the child's end", seconds=60)


def _is_zombie(pid):
    """Whether a process has ended and waits for somebody to take note of it."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


class TestWhen:
    def _bests(self, server):
        return [body["trial"] for body in server.got if body["event"] == "new_best"]

    def test_the_first_best_is_no_news(self, study, serve):
        server = serve()
        Sweep(study, Webhook(server.url)).run(lambda: study.run(0.5))
        assert self._bests(server) == []

    def test_what_is_tried_first_is_no_news(self, study, serve):
        server = serve()
        study.queue("plain")
        study.queue("linear")
        steps = [lambda value=value: study.run(value) for value in (0.5, 0.6, 0.55, 0.7)]
        Sweep(study, Webhook(server.url)).run(*steps)
        # Trial 1 is the best of those tried first, and trial 3 beats it.
        assert self._bests(server) == [3]

    def test_nothing_is_before_they_are_through(self, study, serve):
        server = serve()
        study.queue("plain")
        study.queue("linear")
        running = []
        values = [lambda value=value: study.run(value) for value in (0.6, 0.7)]
        steps = [lambda: study.run(0.5), lambda: running.append(study.start()), *values]
        Sweep(study, Webhook(server.url)).run(*steps)
        assert self._bests(server) == []

    def test_of_many_within_a_minute_the_first_is_told_and_the_last_by_the_end(self, study, serve):
        server = serve()
        study.run(0.1)
        steps = [lambda value=value: study.run(value) for value in (0.2, 0.3, 0.4)]
        Sweep(study, Webhook(server.url)).run(*steps)
        assert self._bests(server) == [1]
        assert server.got[-1]["best"]["trial"] == 3

    def test_the_last_best_is_told_where_the_end_is_not(self, study, serve):
        server = serve()
        study.run(0.1)
        steps = [lambda value=value: study.run(value) for value in (0.2, 0.3, 0.4)]
        Sweep(study, Webhook(server.url), kinds=("best",)).run(*steps)
        assert self._bests(server) == [1, 3]
        assert len(server.got) == 2

    def test_a_minute_later_the_last_is_told(self, study, serve, monkeypatch):
        server = serve()
        study.run(0.1)
        start = time.monotonic()
        clock = {"ahead": 0.0}
        steps = [
            *(lambda value=value: study.run(value) for value in (0.2, 0.3, 0.4)),
            lambda: clock.update(ahead=61.0),
        ]
        monkeypatch.setattr(
            "sweeps.reporting.notifications.notifier.time.monotonic", lambda: start + clock["ahead"]
        )
        view_steps = Sweep(study, Webhook(server.url), kinds=("best",))
        view_steps.run(*steps)
        assert self._bests(server) == [1, 3]


def test_a_real_sweep_notifies_and_a_failed_one_too(place, small, serve):
    server = serve(500, 200)
    place.environment |= {
        "SWEEPS_NOTIFY_URL": server.url,
        "SWEEPS_NOTIFY_COMMAND": "cat >> told; echo told >&2; false",
    }
    spec = place.write_spec(small)
    done = place.run("run", spec, "--workers", "1", "--trials", "1")
    assert done.returncode == 0, done.stderr
    assert [body["how"] for body in server.got] == ["finished", "finished"]
    assert server.got[1]["best"]["value"] == place.study().best_value
    assert done.stderr.count("Not notified") == 1
    assert "the notify command: it ended with status 1: told" in done.stderr
    assert "told" not in done.stdout
    refused = place.run("run", "quik")
    assert refused.returncode == 1
    assert "no such preset" in server.got[-1]["text"]
    told = [json.loads(line) for line in (place.folder / "told").read_text().splitlines()]
    assert [event["how"] for event in told] == ["finished", "failed"]

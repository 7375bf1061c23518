"""What workers are called."""

import socket

import pytest

from sweeps.runner.sweep import next_number
from sweeps.worker.process import short_host
from tests.sweeps.handmade import HandmadeStudy


@pytest.mark.parametrize(
    ("names", "number"),
    [
        (["no.de-0", "no.de-1"], 2),
        (["no.de-pid4711", "no.de-x", "no.de", "by-hand"], 0),
        (["no.de1-3", "anode-4", "no.de-1-5", "noXde-6"], 0),
        (["no.de-09", "no.de-2"], 10),
    ],
)
def test_a_run_counts_on_past_the_living_of_its_host(tmp_path, names, number):
    study = HandmadeStudy(tmp_path)
    study.end_worker(study.start_worker("no.de-20"))
    for name in names:
        study.start_worker(name)
    assert next_number(study.progress().workers, "no.de") == number


def test_a_host_is_named_without_its_domain_and_not_at_length(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "node7.cluster.example.org")
    assert short_host() == "node7"
    monkeypatch.setattr(socket, "gethostname", lambda: "n" * 63)
    assert len(f"{short_host()}-pid4194304") <= 64

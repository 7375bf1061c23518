"""What workers are called."""

import socket

import pytest

from sweeps.engines import WorkerPlan
from sweeps.runner.sweep import next_number
from sweeps.worker.process import short_host
from tests.sweeps.handmade import HandmadeStudy


@pytest.mark.parametrize(
    ("names", "number"),
    [
        ([], 0),
        (["node-0", "node-1"], 2),
        (["node-7"], 8),
        (["node-pid4711", "node-x", "node", "by-hand"], 0),
        (["node1-3", "anode-4", "node-1-5", "slurm-6"], 0),
        (["node-09", "node-2"], 10),
    ],
)
def test_a_run_counts_on_past_the_living_of_its_host(tmp_path, names, number):
    study = HandmadeStudy(tmp_path)
    for name in names:
        study.start_worker(name)
    assert next_number(study.progress().workers, "node") == number


def test_those_that_have_ended_are_not_counted(tmp_path):
    study = HandmadeStudy(tmp_path)
    study.end_worker(study.start_worker("node-0"))
    assert next_number(study.progress().workers, "node") == 0


def test_signs_of_a_hosts_name_are_taken_as_they_are(tmp_path):
    study = HandmadeStudy(tmp_path)
    study.start_worker("nXe-3")
    assert next_number(study.progress().workers, "n.e") == 0


def test_a_host_is_named_without_its_domain_and_not_at_length(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "node7.cluster.example.org")
    assert short_host() == "node7"
    monkeypatch.setattr(socket, "gethostname", lambda: "n" * 63)
    assert len(f"{short_host()}-pid4194304") <= 64


def test_a_plan_names_its_workers_one_after_another(tmp_path):
    plan = WorkerPlan("s", "sqlite:///x.db", tmp_path, tmp_path, 30, None, "node7", 4)
    assert [plan.name(index) for index in range(2)] == ["node7-4", "node7-5"]

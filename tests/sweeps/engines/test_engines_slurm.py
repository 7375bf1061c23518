"""Workers as SLURM jobs: preemption in submitit's local executor, and what a SLURM is asked for.

There is no SLURM here. Its commands are stood in for by scripts that write down what they were
called with; signals go to real jobs of submitit's local executor.
"""

import os
import signal
from pathlib import Path

import pytest

pytest.importorskip("submitit")

from sweeps.cli.engine import parse_settings
from sweeps.engines import make_engine
from sweeps.engines.devices import Slot
from sweeps.engines.slurm import Lifeline
from sweeps.errors import SweepsError
from sweeps.reporting import show_log
from tests.sweeps.fake_workers import ROOT, Orders, fake_plan, slots
from tests.sweeps.waiting import is_gone, wait_for


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def job(tmp_path):
    """An engine with one job, which runs."""
    plan = fake_plan(tmp_path)
    engine = make_engine("slurm", plan, slots(1), cluster="local")
    orders = Orders(plan)
    said = []
    try:
        with show_log(said.append):
            engine.start()
            worker = orders.wait_for_start("worker-0")
            yield engine, orders, worker, said
    finally:
        engine.kill()


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def told(engine, said, line):
    wait_for(lambda: engine.poll() or line in said, f"to be told {line!r}")


@pytest.mark.parametrize("terminated_first", [False, True])
def test_a_preempted_job_checkpoints_its_trial_and_is_queued_again(job, terminated_first):
    engine, orders, worker, said = job
    step = parent(worker)
    if terminated_first:
        # As SLURM does where a preemption has a time of grace; the worker stops by itself then.
        os.kill(step, signal.SIGTERM)
        wait_for(lambda: is_gone(worker), "the worker's end")
        assert not is_gone(step)
    # SLURM announces the end to all processes of a job, of which the worker must not die.
    for pid in (worker, step):
        if not is_gone(pid):
            os.kill(pid, signal.SIGUSR2)
    again = orders.wait_for_start("worker-0", times=2)
    assert is_gone(worker)
    assert is_gone(step)
    told(engine, said, "worker-0: checkpointed")
    assert engine.running == 1
    orders.end("worker-0", 0)
    exits = wait_for(engine.poll, "the end to be told of")
    assert [(exit.status, exit.last_line) for exit in exits] == [(0, "these are my last words")]
    assert is_gone(again)


def test_a_job_that_somebody_cancels_is_told_of(job, monkeypatch):
    engine, _orders, worker, _said = job
    monkeypatch.setattr("sweeps.engines.slurm._RESULT_SECONDS", 1.0)
    # The controller, which stands in for SLURM, kills its job's processes.
    os.kill(parent(parent(worker)), signal.SIGINT)
    (exit,) = wait_for(engine.poll, "the end to be told of")
    assert exit.status == -signal.SIGKILL
    assert exit.last_line.startswith("SLURM ended job ")
    assert is_gone(worker)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Commands of the names of SLURM's, whose calls end up in a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "srun": "",
        "sbatch": f'cat "$1" >> {tmp_path}/submitted\necho "Submitted batch job 77"',
        "scancel": f'echo "$@" >> {tmp_path}/cancelled',
        "sacct": f"cat {tmp_path}/states",
    }
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    (tmp_path / "states").write_text("JobID|State|NodeList\n77_[0-2]|PENDING|\n")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path


def test_slurm_is_asked_for_an_array_with_the_settings(slurm):
    settings = parse_settings(
        ["partition=gpu", "timeout_min=30", "mem_gb=7.5", 'setup=["module load cuda"]']
    )
    places = [Slot("cuda:0", 6, 1.0)] * 3
    engine = make_engine("slurm", fake_plan(slurm), places, settings=settings)
    engine.start()
    asked = (slurm / "submitted").read_text().splitlines()
    for line in (
        "#SBATCH --array=0-2%3",
        "#SBATCH --cpus-per-task=6",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --job-name=sweeps-fake",
        "#SBATCH --mem=7680MB",
        "#SBATCH --partition=gpu",
        "#SBATCH --requeue",
        "#SBATCH --signal=USR2@90",
        "#SBATCH --time=30",
        "module load cuda",
    ):
        assert line in asked
    (folder,) = (slurm / "checkpoints" / "slurm-logs").iterdir()
    # The storage's URL, with its password, is in there.
    assert folder.stat().st_mode & 0o777 == 0o700
    engine.stop()
    assert sorted((slurm / "cancelled").read_text().split()) == ["77_0", "77_1", "77_2"]
    exits = wait_for(engine.poll, "the jobs that never ran to be told of")
    assert [exit.status for exit in exits] == [0, 0, 0]
    engine.kill()


def test_jobs_that_slurm_ended_are_told_of(slurm, monkeypatch):
    monkeypatch.setattr("sweeps.engines.slurm._RESULT_SECONDS", 0.0)
    engine = make_engine("slurm", fake_plan(slurm), slots(3))
    states = ["77_0|OUT_OF_MEMORY|n1", "77_1|RUNNING|n1", "77_2|CANCELLED by 1000|n2"]
    (slurm / "states").write_text("\n".join(["JobID|State|NodeList", *states, ""]))
    engine.start()
    exits = wait_for(engine.poll, "two ends to be told of")
    assert [exit.name for exit in exits] == ["worker-0", "worker-2"]
    assert engine.running == 1
    (slurm / "states").write_text("JobID|State|NodeList\n77_1|COMPLETED|n1\n")
    engine.kill()
    assert engine.running == 0
    assert (slurm / "cancelled").read_text().split() == ["77_1"]


def test_settings_are_words_or_json():
    typed = ["partition=gpu", "timeout_min=60", "exclusive=true", "comment=a=b", "nodelist=n[1-3]"]
    assert parse_settings(typed) == {
        "partition": "gpu",
        "timeout_min": 60,
        "exclusive": True,
        "comment": "a=b",
        "nodelist": "n[1-3]",
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("partition", "--slurm-setting partition: write KEY=VALUE"),
        ("=gpu", "--slurm-setting =gpu: write KEY=VALUE"),
        ("gpus_per_node=8", "gpus_per_node=8: a job is one worker on one device"),
        ("nodes=2", "nodes=2: a job is one worker on one device"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(SweepsError, match=message):
        parse_settings([setting])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"partitoin": "gpu"}, "--engine slurm: .*partitoin"),
        ({"timeout_min": "an hour"}, "--engine slurm: .*timeout_min"),
    ],
)
def test_settings_that_submitit_does_not_know_are_refused(slurm, settings, message):
    engine = make_engine("slurm", fake_plan(slurm), slots(1), settings=settings)
    with pytest.raises(SweepsError, match=message):
        engine.start()
    engine.kill()


def test_a_refusal_of_sbatch_is_told(slurm):
    refusal = "sbatch: error: invalid partition specified: gpu"
    (slurm / "bin" / "sbatch").write_text(f'#!/bin/sh\necho "{refusal}" >&2\nexit 1\n')
    engine = make_engine("slurm", fake_plan(slurm), slots(2))
    with pytest.raises(SweepsError, match=r"sbatch refused the jobs: .*invalid partition"):
        engine.start()
    engine.kill()


def test_a_host_without_slurm_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = make_engine("slurm", fake_plan(tmp_path), slots(1))
    with pytest.raises(SweepsError, match=r"--engine slurm: .*srun"):
        engine.start()


def test_a_lifeline_that_cannot_be_written_is_logged(tmp_path, caplog):
    folder = tmp_path / "run"
    folder.mkdir()
    lifeline = Lifeline(folder / "lifeline")
    assert caplog.records == []
    (folder / "lifeline").unlink()
    folder.rmdir()
    lifeline.write("stop")
    lifeline.write("kill")
    lifeline.close()
    (record,) = caplog.records
    assert (record.name, record.exc_info) == ("sweeps.engines.slurm", None)
    assert "No such file or directory" in caplog.text

"""What is asked of SLURM: time limits, the queue, why a job ended."""

import math
import signal

import pytest

from gat_lightning.errors import UserError
from gat_lightning.runs import slurm
from gat_lightning.runs.signals import Stopped
from gat_lightning.runs.slurm import QueuedJob, exit_reason, queued_jobs, requeued_if_preempted, time_limit


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [
        (90, 90), ("90", 90), ("1:30", 1.5), ("02:00:00", 120), ("1-00:00:00", 1440), ("1-12", 2160), ("2-0:30", 2910),
        ("UNLIMITED", math.inf),
    ],
)  # fmt: skip
def test_time_limits_are_read_as_slurm_does(limit, minutes):
    assert time_limit(limit, None) == minutes


@pytest.mark.parametrize("limit", ["soon", "1:2:3:4", 0, "-5", "1h"])
def test_other_times_are_refused(limit):
    with pytest.raises(UserError, match=f"hydra.launcher.timeout_min={limit} is not a time: set minutes"):
        time_limit(limit, None)


@pytest.mark.parametrize(
    ("partition", "minutes"), [(None, 30.0), ("gpu", 720.0), ("long", math.inf), ("elsewhere", math.inf)]
)
def test_no_limit_is_that_of_the_partition(monkeypatch, partition, minutes):
    rows = ["debug*|30:00|2:00:00", "gpu|n/a|12:00:00", "long|n/a|infinite"]
    monkeypatch.setattr(slurm, "_asked", lambda command: rows if command[0] == "sinfo" else None)
    assert time_limit(None, partition) == minutes


def test_the_queue_says_why_jobs_wait(monkeypatch):
    lines = ["7_0|RUNNING|None", "7_1|PENDING|PartitionTimeLimit", "9|COMPLETING|None"]
    monkeypatch.setattr(slurm, "_asked", lambda command: lines)
    assert queued_jobs() == {
        "7_0": QueuedJob("RUNNING", ""),
        "7_1": QueuedJob("PENDING", "PartitionTimeLimit"),
        "9": QueuedJob("COMPLETING", "None"),
    }
    monkeypatch.setattr(slurm, "_asked", lambda command: None)
    assert queued_jobs() is None


def test_why_a_job_ended_is_asked_of_accounting_then_of_the_controller(monkeypatch):
    answers = {"sacct": ["CANCELLED by 0"], "scontrol": ["JobId=7 JobName=x", "   JobState=OUT_OF_MEMORY Reason=None"]}
    monkeypatch.setattr(slurm, "_asked", lambda command: answers.get(command[0]))
    assert exit_reason("7") == "CANCELLED"
    del answers["sacct"]
    assert exit_reason("7") == "OUT_OF_MEMORY"
    answers.clear()
    assert exit_reason("7") == ""


@pytest.mark.parametrize(
    ("shown", "number", "rank", "asked"),
    [
        ("PreemptTime=2026-11-28T13:00:00", signal.SIGTERM, "0", True),
        ("PreemptTime=None", signal.SIGTERM, "0", False),
        ("PreemptTime=2026-11-28T13:00:00", signal.SIGUSR2, "0", False),
        ("PreemptTime=2026-11-28T13:00:00", signal.SIGTERM, "1", False),
    ],
    ids=["pre-empted", "cancelled", "time is over", "second rank"],
)
def test_a_job_that_makes_way_is_requeued_by_its_first_rank(monkeypatch, shown, number, rank, asked):
    commands = []
    monkeypatch.setattr(slurm, "_asked", lambda command: commands.append(command) or [f"   JobState=RUNNING {shown}"])
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    monkeypatch.setenv("SLURM_PROCID", rank)
    with pytest.raises(Stopped), requeued_if_preempted():
        raise Stopped(number)
    assert (["scontrol", "requeue", "12"] in commands) is asked


def test_outside_a_job_nothing_is_asked(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(slurm, "_asked", lambda command: pytest.fail(f"asked {command}"))
    with pytest.raises(Stopped), requeued_if_preempted():
        raise Stopped(signal.SIGTERM)

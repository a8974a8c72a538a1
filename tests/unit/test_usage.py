"""What a trial uses of its machine, and that it reaches its record."""

from __future__ import annotations

import json
import os
import time

import pytest

from tune_distill.measure.usage import Usage
from tune_distill.record import Rung
from tune_distill.spec import resolve
from tune_distill.track import story

PAGE = os.sysconf("SC_PAGE_SIZE")


def counters(proc, *ticks):
    """Files as the system keeps them: user nice system idle iowait irq softirq steal guest ..."""
    (proc / "self").mkdir(exist_ok=True)
    (proc / "stat").write_text(f"cpu  {' '.join(map(str, ticks))} 5 5\ncpu0 1 2 3\nintr 9\n")
    (proc / "meminfo").write_text("MemTotal: 4000000 kB\nMemFree: 9 kB\nMemAvailable: 1000000 kB\n")
    (proc / "self/statm").write_text("900 250 30 1 0 80 0\n")


def test_the_machines_processors_are_a_mean_since_the_last_time(tmp_path):
    counters(tmp_path, 100, 10, 20, 500, 50, 1, 2, 3)
    usage = Usage(proc=tmp_path)
    # 40 + 10 + 5 + 1 + 2 + 2 busy ticks, 30 + 10 idle and waiting: 60 of 100.
    counters(tmp_path, 140, 20, 25, 530, 60, 2, 4, 5)
    used = usage.read()
    assert used["cpu_utilization_percentage"] == pytest.approx(60.0)
    # 3,000,000 of 1,024 bytes, and 250 pages.
    assert used["system_memory_usage_megabytes"] == pytest.approx(3072.0)
    assert used["process_memory_megabytes"] == pytest.approx(250 * PAGE / 1e6)
    counters(tmp_path, 140, 20, 25, 630, 60, 2, 4, 5)  # then idle
    assert usage.read()["cpu_utilization_percentage"] == 0.0


def test_a_process_that_works_uses_a_processor_and_one_that_sleeps_none():
    usage = Usage()
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    worked = usage.read()["process_cpu_percentage"]
    time.sleep(0.1)
    cores = os.cpu_count() or 1  # what other tests left running in this process may use one
    assert usage.read()["process_cpu_percentage"] < worked <= 101 * cores


def test_what_the_system_does_not_tell_is_left_out(tmp_path):
    assert Usage(proc=tmp_path).read().keys() == {"process_cpu_percentage"}


def test_it_is_charted_as_a_system_metric_at_its_rung():
    rung = Rung(2, 20, 0.7, {}, 3.0, system={"cpu_utilization_percentage": 60.0})
    told = story.reported(1, rung, None)
    assert told.metrics["system/cpu_utilization_percentage"] == 60.0
    assert (told.step, told.tags) == (2, {"rung": "2"})


def test_it_is_asked_for_by_a_knob_and_off_by_default():
    document = {
        "name": "small",
        "task": {"builtin": "reviews"},
        "teacher": {"builtin": "small"},
        "space": {"student": {"layers": 1, "hidden_size": 16, "heads": 2}, "method": "finetune"},
        "objectives": {"accuracy": {"goal": "max", "reference": 0.5}},
    }
    assert not resolve(document).resources.system_metrics
    assert resolve(document | {"resources": {"system_metrics": True}}).resources.system_metrics


def test_a_rung_without_it_is_read_as_before():
    row = {"epoch": 1, "updates": 2, "accuracy": 0.5, "losses": {}, "seconds": 1.0}
    assert Rung(**json.loads(json.dumps(row))).system == {}

"""How many trials may be in flight, on one machine and on a cluster that grows."""

from __future__ import annotations

import pytest

from tune_distill.errors import SpecError
from tune_distill.launch.capacity import LOOK, PATIENCE, Capacity
from tune_distill.spec import ResourceSpec


class Cluster:
    """Its processors and its clock, both turned by hand."""

    def __init__(self, cpus: float, gpus: float = 0.0) -> None:
        self.cpus, self.gpus, self.now = cpus, gpus, 0.0

    def capacity(self, *, elastic: bool, **resources: float) -> Capacity:
        return Capacity(
            ResourceSpec(**resources),
            elastic,
            have=lambda: {"CPU": self.cpus, "GPU": self.gpus},
            clock=lambda: self.now,
        )

    def later(self, seconds: float) -> None:
        self.now += seconds


def test_on_one_machine_as_many_as_fit():
    assert Cluster(7).capacity(elastic=False, cpus_per_trial=2)() == 3
    assert Cluster(16, 1).capacity(elastic=False, cpus_per_trial=2, gpus_per_trial=0.25)() == 4


def test_what_the_study_says_is_taken_as_it_is():
    assert Cluster(7).capacity(elastic=False, concurrent=2)() == 2
    assert Cluster(0).capacity(elastic=True, concurrent=12)() == 12


def test_a_trial_that_fits_nowhere_is_refused_unless_the_cluster_may_grow():
    with pytest.raises(SpecError, match="asks for 2 CPU, 1 GPU, and there are 4 CPU, 0 GPU"):
        Cluster(4).capacity(elastic=False, cpus_per_trial=2, gpus_per_trial=1)
    assert Cluster(4).capacity(elastic=True, cpus_per_trial=2, gpus_per_trial=1)() == 1


def test_as_many_wait_as_fit_until_a_cluster_has_kept_its_size_for_some_minutes():
    cluster = Cluster(0)
    room = cluster.capacity(elastic=True)
    assert room() == 1
    cluster.cpus = 4
    cluster.later(LOOK - 1)
    assert room() == 1  # not looked at again yet
    cluster.later(1)
    assert room() == 8
    cluster.later(PATIENCE - 1)
    assert room() == 8
    cluster.later(LOOK)
    assert room() == 4
    cluster.cpus = 3  # a node was lost, and what ran there waits for another
    cluster.later(LOOK)
    assert room() == 6

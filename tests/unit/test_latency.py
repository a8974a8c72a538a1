"""Latency: which texts, which median, and that nothing of the process is left changed."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from tune_distill.measure import latency
from tune_distill.measure.latency import Latency, latencies, machine, sample


def test_a_latency_is_the_median_over_texts_of_the_median_over_rounds(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock[0])

    def takes(*milliseconds):
        """A text that takes so long, round after round; the first round warms up."""
        left = itertools.chain([1e6], milliseconds)

        def compute():
            clock[0] += next(left) / 1e3

        return compute

    fast = [takes(1, 1, 9), takes(2, 2, 2), takes(4, 3, 2)]  # medians 1, 2, 3
    slow = [takes(10, 10, 10), takes(20, 20, 20), takes(90, 30, 30)]  # 10, 20, 30
    found = latencies({"fast": fast, "slow": slow}, rounds=3)
    # Linear percentiles of three values: 10 % lies a fifth of the way from the first to the second.
    for name, (low, median, high) in {"fast": (1.2, 2, 2.8), "slow": (12, 20, 28)}.items():
        one = found[name]
        np.testing.assert_allclose([one.low_ms, one.median_ms, one.high_ms], [low, median, high])
        assert (one.texts, one.threads) == (3, 1)


def test_threads_are_fixed_while_it_runs_and_given_back():
    before, seen = torch.get_num_threads(), []

    def compute():
        seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled()))

    assert isinstance(latencies({"one": [compute]}, rounds=1, threads=before + 1)["one"], Latency)
    assert seen == [(before + 1, True)] * 2
    assert torch.get_num_threads() == before


def test_the_timed_texts_stand_for_all_lengths():
    lengths = np.array([9, 3, 5, 7, 4, 6, 8])
    # Sorted: rows 1, 4, 2, 5, 3, 6, 0; the first, the middle and the last of them.
    assert sample(lengths, 3).tolist() == [1, 5, 0]
    assert sorted(sample(lengths, 100).tolist()) == list(range(7))


def test_the_machine_is_named():
    told = machine()
    assert told["processor"]
    assert int(told["cores"]) >= 1
    assert " " in str(told["system"])

"""The front as a picture: a panel a pair of objectives, whatever else is known of them."""

from __future__ import annotations

import struct

from tests.unit.test_pick import AXES, RECORDS
from tune_distill.outcome import Objective
from tune_distill.plots import front_data
from tune_distill.plots.picture import picture


def size(png):
    """Width and height: big-endian, behind the signature and the header of the first chunk."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def test_two_objectives_make_one_panel_and_three_make_three_beside_each_other():
    teacher = {"accuracy": 0.95, "size_mb": 400.0}
    width, height = size(picture(front_data(RECORDS, AXES, teacher), 1))
    three = (*AXES, Objective("flops", "min", 1e9))
    assert size(picture(front_data(RECORDS, three), 3)) == (3 * width, height)


def test_a_front_of_one_objective_has_no_picture():
    assert picture(front_data(RECORDS, AXES[:1]), 0) is None

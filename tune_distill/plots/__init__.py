"""The front to look at: records -> plain data (front.json) -> one page (front.html)."""

from __future__ import annotations

from tune_distill.plots.data import SCHEMA, front_data
from tune_distill.plots.page import report

__all__ = ["SCHEMA", "front_data", "report"]

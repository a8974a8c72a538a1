"""Export: a finished trial becomes a folder that anybody can load, checked before it is kept."""

from __future__ import annotations

from tune_distill.export.bundle import bundle
from tune_distill.export.pick import asked, pick

__all__ = ["asked", "bundle", "pick"]

"""The teacher's signals on disk: computed once, opened by every trial.

plan(needs, sizes, limit_gb) -> Plan                    what is cached, what stays live; its sizes
ensure(model, encoded, needs, root, ...) -> Cached      computes what is not there yet
source(folder, teacher, needs) -> callable              a batch's signals, cached or live

    ROOT/KEY/
      NAME.json                  the manifest of one signal; written last
      NAME.CHECKSUM.bin          its values: little-endian, row after row, nothing else

A signal is one of logits, cls.4, hidden.6, query.6 ... (`Needs.names`). Those of tokens are ragged:
real tokens only, where the split's own offsets (`offsets`, filed with them) say. KEY is a hash of
the teacher (class, config, tensors), of the split's tokens and their types, in which tokenizer and
max_length are contained, and of the format and what is exact, which fix the types: float16, for
losses; float32 for the logits of a split that students are measured on, where ties must not move.
"""

from __future__ import annotations

from tune_distill.cache.read import Alignment, LiveTeacher, TeacherSignals, source
from tune_distill.cache.sizes import Layout, Plan, layouts, plan
from tune_distill.cache.upkeep import Cached, ensure

__all__ = [
    "Alignment",
    "Cached",
    "Layout",
    "LiveTeacher",
    "Plan",
    "TeacherSignals",
    "ensure",
    "layouts",
    "plan",
    "source",
]

"""Export: finished trials become folders that anybody can load, checked before they are kept.

pick(records, objectives, rule, where)   which trial
bundle(source, record, to, ...)          its folder; `all_front` writes one for each of a front
copied                                   the trained student and its forms, each held against it
bench, beside, figures                   what each form is measured to be
card, confirmed, described, scores       what is told of it
push                                     the folder as a repository of the hub
"""

from __future__ import annotations

from tune_distill.export.bench import Bench
from tune_distill.export.bundle import bundle
from tune_distill.export.pick import asked, pick
from tune_distill.export.source import Source
from tune_distill.export.whole_front import all_front
from tune_distill.forms import Wanted

__all__ = ["Bench", "Source", "Wanted", "all_front", "asked", "bundle", "pick"]

"""What a trial needs, imported by workers that have none yet, while the search is prepared.

Ray's workers import this module as they start (`cli/search.py`). The garbage collector is off
meanwhile: looking through half a million new objects again and again is a fifth of the time. They
stay to the end, so it never looks at them afterwards either.
"""

from __future__ import annotations

import gc
from importlib import import_module

gc.disable()
try:
    for name in (
        "tune_distill.launch.worker",
        "tune_distill.trial",
        "transformers.models.bert.modeling_bert",  # stands on what the other families' do
    ):
        import_module(name)
finally:
    gc.freeze()
    gc.enable()

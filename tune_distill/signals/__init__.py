"""What a model hands a distillation method: logits, CLS vectors, hidden states, Q, K and V.

Everything but the logits is taken by forward hooks, so that any attention implementation serves:
`output_attentions=True` under SDPA returns an empty tuple with a warning, and a loss over it is
silently zero. Layers are numbered as in the papers: 0 is what enters the first block (in ALBERT and
ELECTRA the embeddings made as wide as the blocks), l the output of block l. A block whose weights
are shared is called several times, so a hook counts its calls. Methods that need attention scores
or relations build them from Q, K and V. The CLS vector is that of the token that the model's own
head reads: the first, in XLNet the last real one.
"""

from __future__ import annotations

from tune_distill.signals.hooks import lacking, run
from tune_distill.signals.kinds import Needs, Signals, to_float32

__all__ = ["Needs", "Signals", "lacking", "run", "to_float32"]

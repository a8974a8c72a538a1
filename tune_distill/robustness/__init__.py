"""Adversarial text: attacks on any Hugging Face classifier, in lock step over many sentences.

Read in this order: `attacks` (what an attack is), `recipes` (those that we ship), `edits` and
`table` (what may become of a word), `constraints` (what may not), `attempt` (one row's way),
`search` (all rows at once), `saliency` (which word first), `scorer` (the model behind it),
`resources` (what recipes read). What is imported here needs no torch.
"""

from tune_distill.robustness.attacks import Attack
from tune_distill.robustness.recipes import ATTACKS

__all__ = ["ATTACKS", "Attack"]

"""Adversarial text: attacks on any Hugging Face classifier, in lock step over many sentences.

Read in this order: `attacks` (what an attack is, and those that we ship), `edits` (what may be done
to a word), `attempt` (one row's way), `search` (all rows at once), `saliency` (which word first),
`scorer` (the model behind it). What is imported here needs no torch.
"""

from tune_distill.robustness.attacks import ATTACKS, Attack

__all__ = ["ATTACKS", "Attack"]

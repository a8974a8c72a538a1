"""The general phase: a student learns the language from a masked language model, before its task.

Some words of unlabelled text are hidden; the model that the teacher was fine-tuned from, and which
still has its masked-word head, says what could stand there. Any method serves, its classes being
the vocabulary and its labels the hidden words:

    distilbert     DistilBERT's triple loss: 5 soft + 2 masked words + 1 cosine, at T = 2
    truncated_kd   Barraza's truncated softmax over the vocabulary: K = 10, no labels
    tinybert, minilm, minilm2   the general distillation of their papers

prepare(spec, ...) -> Corpus             tokens of the text and the masked model, once a study
teach(student, corpus, spec, ...)        the phase of one student; done once for equal students

Sanh et al. 2019 (arXiv 1910.01108), Barraza 2019, Jiao et al. 2020, Wang et al. 2020 and 2021:
docs/PAPERS.md. 15 % of the words are hidden, anew in each epoch (Devlin et al. 2019).
"""

from __future__ import annotations

from tune_distill.general.corpus import Corpus, prepare
from tune_distill.general.phase import refusals, teach

__all__ = ["Corpus", "prepare", "refusals", "teach"]

"""The distillation loop, with no framework around it.

train(student, method, data, config, ...) -> Iterator[Epoch]    trains in place, epoch by epoch
heads_of(method, shapes, seed, basis) -> modules                 what only training has
predict(model, data) -> logits                                   of every row, in eval mode
Texts(columns, tokenizer, max_length, table)                     for defences that change words
"""

from __future__ import annotations

from tune_distill.train.heads import heads_of
from tune_distill.train.loop import Epoch, Teacher, train
from tune_distill.train.predict import predict
from tune_distill.train.texts import Texts

__all__ = ["Epoch", "Teacher", "Texts", "heads_of", "predict", "train"]

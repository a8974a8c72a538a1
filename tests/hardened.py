"""Rows with their texts, tiny models that read them, and one update of their training."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from tests import tiny, tokens
from tune_distill import signals, student
from tune_distill.methods import METHODS
from tune_distill.robustness.frozen import Found
from tune_distill.robustness.opened import Opened
from tune_distill.robustness.table import Table
from tune_distill.tasks import Rows, encode
from tune_distill.train import Texts, heads_of
from tune_distill.train.course import legs
from tune_distill.train.defence import Defence, modules_of
from tune_distill.train.hardened import HardenedUpdate, words_of

NEAR = {"film": ["movie", "picture"], "plot": ["story"], "dull": ["boring"], "superb": ["fine"]}
LENGTH = 30  # tokens; the models have 32 positions


class World:
    """40 sentences, their tokens, and models of 3 layers."""

    def __init__(self, folder, rows=40):
        made = tiny.texts(rows, seed=1)
        self.sentences = [text for text, _ in made]
        labels = np.array([list(tiny.SIDES).index(side) for _, side in made])
        tokenizer = tokens.tokenizer("wordpiece", folder, self.sentences, 120)
        self.data = encode(Rows((self.sentences,), labels), tokenizer, LENGTH)
        table = Table.of({word: [(n, float("nan")) for n in near] for word, near in NEAR.items()})
        opened = Opened(table=table)
        more = {"resources": opened, "frozen": self.frozen()}
        self.texts = Texts((self.sentences,), tokenizer, LENGTH, table, **more)
        self.words = len(tokenizer)

    def frozen(self):
        """Adversarial rows, as if an attack had made each third row's first word a longer one."""
        rows = np.arange(0, len(self.sentences), 3)
        columns = ([f"very{self.sentences[row]}" for row in rows],)
        return Found(rows, columns, self.data.labels[rows], len(rows) // 2)

    def model(self, seed, dropout=0.0, family="bert", classes=2):
        """A random classifier; embeddings of the size that training finds, and pads like any."""
        shape = {"layers": 3, "dropout": dropout, "seed": seed, "classes": classes}
        return tiny.teacher(family, vocab_size=self.words, **shape)

    @cached_property
    def taught(self):
        """The teacher, as the loop asks it."""
        model = self.model(seed=5)

        def seen(batch, needs):
            with torch.no_grad():
                return signals.run(model, batch.inputs(), needs)

        return seen

    def update(
        self, model, method="kd", rows=6, kind=HardenedUpdate, phase=-1, seed=3, hardening=None
    ):
        """An update on the first rows, in a phase of a method; with what a defence has besides."""
        shapes = (student.shape(model.config),) * 2
        leg = legs(METHODS[method](), shapes, 100)[phase]
        batch = self.data.batch(np.arange(rows))
        seen = self.taught(batch, leg.given) if leg.given else None
        unit = words_of(model).detach().norm(dim=1).mean()

        def reword(batch, defence):
            return self.texts.reworded(batch, defence, seed, 0)

        heads = heads_of(METHODS[method](), shapes, 0, None)
        extra = modules_of(hardening, shapes[1], seed)
        beside = self.beside(model, hardening, batch, bool(leg.given)) if hardening else None
        given = (unit, reword, "cpu", "float32", extra, beside or (lambda: None))
        return kind(model, leg, batch, seen, heads, *given)

    def beside(self, model, hardening, batch, taught):
        """What an update asks for adversarial rows: those of a run at its first update."""
        given = {"data": self.data, "batch": len(batch.rows)}
        run = Defence(hardening, 1, self.texts, 3, "cpu", "float32", **given)
        run.teacher = self.taught if taught else None
        return lambda: run._beside(0, model, 1)


class Watched(HardenedUpdate):
    """An update that remembers the perturbations of its passes."""

    def __init__(self, *given):
        super().__init__(*given)
        self.deltas = []

    def forward(self, delta=None):
        self.deltas.append(self.still() if delta is None else delta.detach().clone())
        return super().forward(delta)


def embedded(model, batch, delta=None):
    """The logits from embeddings that are put in from outside: no hook of ours."""
    embeddings = model.get_input_embeddings()(batch.input_ids).detach()
    if delta is not None:
        embeddings = embeddings + delta
    return embeddings, model(
        inputs_embeds=embeddings.requires_grad_(delta is None),
        attention_mask=batch.attention_mask,
        token_type_ids=batch.token_type_ids,
    ).logits

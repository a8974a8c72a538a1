"""GAN-BERT: few labels, many texts, and a generator of what is no text (Croce et al. 2020).

    L_D = L + weight * (-E log(1 - p_fake(x)) - E log p_fake(G(z)))
    L_G = -E log(1 - p_fake(G(z))) + matching * mean over the width of (E f(x) - E f(G(z)))^2

"Generative Adversarial Learning for Robust Text Classification with a Bunch of Labeled Examples",
ACL 2020, 2020.acl-main.191, and crux82/ganbert; after Salimans et al. 2016 (arXiv 1606.03498). It
is no defence, for nothing is perturbed: it learns from rows without a label, which must not look
like fakes. L is the method's loss; fine-tuning's is the published one. x is what enters the
classifier's head of a row, G(z) what a generator makes in its place, f what the head's first layer
makes of either, E a mean over the batch, z uniform on [0, 1).

The discriminator is the head itself: its K logits are the classifier's own, and a further one, of
the fakes, is thrown away with the generator. So what is saved, distilled, attacked or exported has
K classes and never had more. Its activation is the model's (tanh in BERT; published: leaky ReLU of
0.2), and there is no class "unlabelled" (published: K + 2 logits). Logarithms are taken of
softmaxes as a whole, and need no epsilon.

Labelled rows are shown log2(1 / their share) times an epoch, rounded down twice, as in the code:
without, most batches have none, and the classes drift.

Each loss moves its own player. In TensorFlow each optimiser is given its variables; the PyTorch
port calls `g_loss.backward(); d_loss.backward()` on one graph before both steps, so that each
player takes the other's gradient, too. Here fakes are detached for L_D, and L_G goes backward into
the generator alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Lt

from tune_distill.hardening.ball import recorded
from tune_distill.hardening.base import Hardening, Update
from tune_distill.methods import Method, ModelShape, TaskShape

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tune_distill.hardening.generator import Adversary


@dataclass(frozen=True)
class GanBert(Hardening):
    """A generator, and a class for what it makes."""

    name: ClassVar[str] = "ganbert"
    unlabelled: ClassVar[bool] = True

    weight: Annotated[float, Ge(0)] = 1.0  # of telling rows and fakes apart
    matching: Annotated[float, Ge(0)] = 1.0  # of the features, against fooling
    noise: Annotated[int, Gt(0)] = 100  # numbers that a fake is made of
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1  # of generator and discriminator
    generator_rate: Annotated[float, Gt(0)] = 1.0  # learning rate of the generator over the model's
    balance: bool = True  # show labelled rows more often

    def check(self, method: Method, task: TaskShape) -> list[str]:
        """Refuses what has no classes that exclude one another."""
        if task.kind == "single_label":
            return []
        return [
            "ganbert adds a class to those that a row has one of; a row of this task has several "
            "labels, or a number"
        ]

    @property
    def passes(self) -> float:
        """One; what is made of vectors costs next to nothing beside the encoder."""
        return 1.0

    def repeats(self, labelled: int, rows: int) -> int:
        """As published: int(log2(int(1 / share))), at least 1."""
        if not (self.balance and labelled):
            return 1
        return max(1, int(math.log2(rows // labelled)))

    def modules(self, student: ModelShape) -> nn.Module:
        """The generator and the logit of the fakes."""
        from tune_distill.hardening.generator import Adversary

        return Adversary(self.noise, student.hidden_size, self.dropout, self.generator_rate)

    def learn(self, update: Update) -> dict[str, Tensor]:
        """The discriminator's gradients, then the generator's; both step together afterwards."""
        if not (update.answering and self.weight):
            terms = update.loss(update.forward())
            update.learn(terms["total"])
            return recorded(terms)
        adversary = adversary_of(update)
        fakes = adversary.fakes(len(update.real))
        own, entering = update.encoded()
        terms = update.loss(own)
        features, logits = self._judged(update, entering)
        terms["real"] = not_fake(logits)
        terms["fake"] = fake(self._judged(update, fakes.detach())[1])
        terms["total"] = terms["total"] + self.weight * (terms["real"] + terms["fake"])
        update.learn(terms["total"])

        made, logits = self._judged(update, fakes)
        terms["fooling"] = not_fake(logits)
        terms["matching"] = distance(features.detach(), made)
        update.learn(terms["fooling"] + self.matching * terms["matching"], only=adversary.opponent)
        return recorded(terms)

    def _judged(self, update: Update, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """The features of vectors (rows, width), and the logits of K classes and of the fakes."""
        import torch

        features, logits = update.head(vectors, self.dropout)
        return features, torch.cat([logits, adversary_of(update).fake(features)], dim=1)


def adversary_of(update: Update) -> Adversary:
    """The train-only modules of an update."""
    from tune_distill.hardening.generator import Adversary

    if not isinstance(update.extra, Adversary):
        raise TypeError("ganbert needs its generator: the modules that it made")
    return update.extra


def not_fake(logits: Tensor) -> Tensor:
    """-E log(1 - p_fake), of logits (rows, K + 1), the fakes' last."""
    return (logits.logsumexp(dim=1) - logits[:, :-1].logsumexp(dim=1)).mean()


def fake(logits: Tensor) -> Tensor:
    """-E log p_fake, of the same."""
    return (logits.logsumexp(dim=1) - logits[:, -1]).mean()


def distance(real: Tensor, made: Tensor) -> Tensor:
    """Between the mean features of rows and fakes, (rows, width) each: squared, mean over width."""
    return (real.mean(dim=0) - made.mean(dim=0)).square().mean()

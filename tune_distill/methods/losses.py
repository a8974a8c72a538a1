"""The terms that methods are made of, each under the project's one normalisation.

    hard = mean over the batch of -log softmax(z)[y]; of (z - y)^2 where the task is a regression
    soft = T^2 / B * sum over the batch and the classes of p_T log(p_T / p_S),  p = softmax(z / T)

Repositories differ here by factors of C (element mean), T^2 and 768; `docs/PAPERS.md` translates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# torch waits inside the functions: a study is read, and its front shown, without it.
if TYPE_CHECKING:
    from torch import Tensor


def hard(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy with the labels; squared error where the labels are floats.

    Args:
        logits: (batch, classes), (batch, 1) for a regression.
        labels: (batch,), integers, or floats for a regression.
    """
    from torch.nn import functional as F

    if labels.is_floating_point():
        return F.mse_loss(logits.squeeze(-1), labels)
    return F.cross_entropy(logits, labels)


def soft(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Hinton's distillation term: T^2 * KL(teacher || student), mean over the batch.

    Computed in log space and in float32, so that it stays finite at extreme logits.
    Source: Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), section 2.

    Args:
        student: logits (batch, classes).
        teacher: logits (batch, classes).
        temperature: T > 0.
    """
    import torch

    log_p = torch.log_softmax(teacher.float() / temperature, dim=-1)
    log_q = torch.log_softmax(student.float() / temperature, dim=-1)
    kl = (log_p.exp() * (log_p - log_q)).sum(dim=-1)
    return temperature**2 * kl.mean()

"""The terms on a model's answers, each under the project's one normalisation.

                    hard (labels y)                       soft (teacher's logits z_T)
    single label    -log softmax(z)[y]                    T^2 * sum_C p_T log(p_T / p), softmax(z/T)
    multi label     mean_C of the binary cross-entropy    T^2 * sum_C of the binary KL, sigmoid(z/T)
    regression      (z - y)^2                             (z - z_T)^2

All are means over the batch; rows without a label (-100, NaN) are no part of the hard ones.
Repositories differ here by factors of C (element mean), T^2 and 768; `docs/PAPERS.md` translates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# torch waits inside the functions: a study is read, and its front shown, without it.
if TYPE_CHECKING:
    from torch import Tensor

NO_LABEL = -100  # in the place of a class


def hard(logits: Tensor, labels: Tensor) -> Tensor:
    """The error against the labels; 0 where no row has one.

    Args:
        logits: (batch, classes), (batch, 1) for a regression.
        labels: (batch,) integers, -100 for none; (batch, classes) floats of 0 and 1 for several
            labels a row, (batch,) floats for a regression, NaN for none.
    """
    from torch.nn import functional as F

    logits = logits.float()
    if not labels.is_floating_point():
        total = F.cross_entropy(logits, labels, ignore_index=NO_LABEL, reduction="sum")
        return total / (labels != NO_LABEL).sum().clamp(min=1)
    known = ~labels.isnan()
    targets = labels.nan_to_num()
    if labels.ndim == 1:
        error = (logits.squeeze(-1) - targets).square()
    else:
        error = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (error * known).sum() / known.sum().clamp(min=1)


def soft(
    student: Tensor, teacher: Tensor, temperature: float, labels: Tensor | None = None
) -> Tensor:
    """Hinton's distillation term, or what stands for it where a softmax says nothing.

    The softmax of a regression's single logit is constant, and its KL silently zero: the squared
    difference of the logits takes its place. Labels that exclude one another not are a
    distribution each. Computed in log space and in float32: finite at extreme logits.
    Source: Hinton, Vinyals, Dean 2015 (arXiv 1503.02531), section 2.

    Args:
        student: logits (batch, classes).
        teacher: logits (batch, classes).
        temperature: T > 0.
        labels: only their type and shape are read, which tell the task's kind; None: single label.
    """
    import torch

    student, teacher = student.float(), teacher.float()
    if labels is not None and labels.is_floating_point():
        if labels.ndim == 1:
            return (student - teacher).square().mean()
        # Each label as two classes, of logits (z, 0).
        student, teacher = _binary(student), _binary(teacher)
    log_p = torch.log_softmax(teacher / temperature, dim=-1)
    log_q = torch.log_softmax(student / temperature, dim=-1)
    kl = (log_p.exp() * (log_p - log_q)).flatten(1).sum(dim=-1)
    return temperature**2 * kl.mean()


def logit_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """The squared difference of the logits, mean over batch and classes: T -> infinity of `soft`.

    T^2 KL tends to half the mean square of the *centred* differences; this one isn't centred, so
    that the student also learns how sure the teacher is (Ba and Caruana 2014, arXiv 1312.6184).
    """
    return (student.float() - teacher.float()).square().mean()


def _binary(logits: Tensor) -> Tensor:
    import torch

    return torch.stack([logits, torch.zeros_like(logits)], dim=-1)

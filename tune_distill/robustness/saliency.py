"""How much each word weighs in the model's decision, and so which one an attack tries first.

    gradient    ‖ Σ over the word's pieces of d margin / d input embedding ‖₂
    unk         margin(text) - margin(text with the word unknown)
    delete      margin(text) - margin(text without the word)
    saliency    softmax over words of unk's weights in probability x the word's best gain (PWWS)

The gradient costs a backward pass and no query, the others a query a word or more. On 300 SST-2
rows with a 6-layer BERT, robust accuracy under `char` is 20.0 % in gradient order, 20.3 %
by the sum of the pieces' norms, 35.7 % by |gradient x embedding|: an edit moves a word to
another embedding, not to zero. For two classes the margin's gradient is that of the
cross-entropy up to a positive factor: one that vanishes in float32 where the model is sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tune_distill import families
from tune_distill.robustness.pieces import Encoded, read
from tune_distill.robustness.scorer import Scorer, buckets, scatter
from tune_distill.robustness.words import Words

if TYPE_CHECKING:
    from tokenizers import Encoding

GRADIENT_BUDGET = 1024  # padded tokens of a pass that keeps its activations, or a fourth of more


def word_weights(
    scorer: Scorer,
    columns: Sequence[list[str]],
    labels: NDArray[np.int64],
    words: Sequence[Words],
    side: int,
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """The logits of the texts, and the weight of each word of the column `side`.

    A word of which truncation left no piece weighs NaN.

    Returns:
        (texts, classes), and an array (words,) a text
    """
    batch = scorer.tokenize(columns)
    encoded = [read(encoding) for encoding in batch]
    budget = min(scorer.token_budget, max(GRADIENT_BUDGET, scorer.token_budget // 4))
    parts, weights = [], [np.empty(0, np.float32)] * len(encoded)
    for rows in buckets([len(e.ids) for e in encoded], budget):
        logits, gradients = _backward(scorer, [encoded[row] for row in rows], labels[rows])
        parts.append((rows, logits))
        for row, gradient in zip(rows, gradients, strict=True):
            real = scorer.real(len(encoded[row].ids), len(gradient))
            weights[row] = _norms(gradient[real], batch[row], words[row], side)
    return scatter(parts, len(encoded)), weights


def word_reach(
    scorer: Scorer, columns: Sequence[list[str]], words: Sequence[Words], side: int
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """As `word_weights`, without its backward pass: words that the model reads all weigh 0."""
    weights = [
        np.array([0.0 if own else np.nan for own in pieces(encoding, one, side)], np.float32)
        for encoding, one in zip(scorer.tokenize(columns), words, strict=True)
    ]
    return scorer.logits(columns), weights


def _backward(
    scorer: Scorer, encoded: Sequence[Encoded], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logits (rows, classes) and the embeddings' gradient (rows, width, hidden)."""
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        seen.append(output.detach().requires_grad_())
        return seen[-1]

    embeddings: nn.Module = scorer.model.get_input_embeddings()  # type: ignore[operator]
    handle = embeddings.register_forward_hook(keep)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            logits = scorer.forward(encoded)
            gold = torch.from_numpy(labels).to(logits.device)
            # autograd.grad writes to no parameter's .grad, unlike backward.
            (gradient,) = torch.autograd.grad(_margins(logits, gold).sum(), seen)
    finally:
        handle.remove()
    if families.length_first(scorer.model):
        gradient = gradient.transpose(0, 1)
    return logits.detach().cpu().numpy(), gradient.float().cpu().numpy()


def _margins(logits: Tensor, gold: Tensor) -> Tensor:
    """As `scorer.margins`, with a gradient."""
    chosen = nn.functional.one_hot(gold, logits.shape[1]).bool()
    return logits[chosen] - logits.masked_fill(chosen, -torch.inf).amax(dim=1)


def _norms(
    gradient: NDArray[np.float32], encoding: Encoding, words: Words, side: int
) -> NDArray[np.float32]:
    """Norms of the gradient summed over each word's pieces; NaN for a word that has none."""
    found = pieces(encoding, words, side)
    norms = [np.linalg.norm(gradient[own].sum(axis=0)) if own else np.nan for own in found]
    return np.array(norms, np.float32)


def pieces(encoding: Encoding, words: Words, side: int) -> list[list[int]]:
    """The pieces of each word: those that share a character with it.

    By offsets into the raw text, whatever the tokenizer: BPE may count the space before a word
    into its piece, SentencePiece may join a letter to an apostrophe, WordPiece does neither.
    """
    found: list[list[int]] = [[] for _ in words.spans]
    ends = np.array([end for _, end in words.spans])
    read_pieces = zip(encoding.sequence_ids, encoding.offsets, strict=True)
    for piece, (sequence, (start, end)) in enumerate(read_pieces):
        if sequence != side:  # the other text, or a special token
            continue
        word = int(np.searchsorted(ends, start, side="right"))
        while word < len(ends) and words.spans[word][0] < end:
            found[word].append(piece)
            word += 1
    return found

"""What only a GAN-BERT training has: the generator, and the logit of the class of its fakes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SLOPE = 0.2  # of the leaky ReLU


class Generator(nn.Module):
    """Noise to the vector that stands for a row: (rows, noise) to (rows, width)."""

    def __init__(self, noise: int, width: int, dropout: float, learning_rate_ratio: float) -> None:
        super().__init__()
        self.noise = noise
        self.learning_rate_ratio = learning_rate_ratio
        self.layers = nn.Sequential(
            nn.Linear(noise, width),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """The fakes."""
        made: Tensor = self.layers(noise)
        return made


class Adversary(nn.Module):
    """Both; the logit belongs to the discriminator, whose other K are the classifier's own.

    `opponent` is the part that plays against all others: its optimiser is its own.
    """

    def __init__(self, noise: int, width: int, dropout: float, learning_rate_ratio: float) -> None:
        super().__init__()
        self.opponent = Generator(noise, width, dropout, learning_rate_ratio)
        self.fake = nn.Linear(width, 1)

    def fakes(self, rows: int) -> Tensor:
        """As many as rows, of fresh noise, uniform on [0, 1): (rows, width)."""
        noise = torch.rand(rows, self.opponent.noise, device=self.fake.weight.device)
        made: Tensor = self.opponent(noise)
        return made

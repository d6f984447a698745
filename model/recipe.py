"""What decides how a model is trained."""

from __future__ import annotations

from dataclasses import dataclass, field

from handstream.model.examples import Augmentation

NETWORKS = ("cnn", "tcn")


@dataclass(frozen=True)
class Recipe:
    """All of it but the data and what is seen of them."""

    network: str = "cnn"
    epochs: int = 60
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    patience: int = 20
    """Epochs without a better validation macro-F1 after which it ends."""
    seed: int = 0
    limit_seconds: float | None = None
    augmentation: Augmentation | None = field(default_factory=Augmentation)

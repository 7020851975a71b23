"""distil_016: a small network learns the embeddings of a pretrained bird model, then the labels.

The first epochs teach no label at all: the clip's embedding turns towards the teacher's (cosine), on every
recording. The last ones teach labels on top of it. The teacher is needed for training only. Winners of
BirdCLEF 2025 and 2026 started their networks so, from Perch.
"""

from dataclasses import dataclass, field

from core.config import (
    BUNDLED_BACKBONE,
    BackboneConfig,
    Config,
    LossConfig,
    MixupConfig,
    OptimConfig,
    SpecAugmentConfig,
    require,
)
from core.config_data import DataConfig, NoiseConfig


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The pretrained network whose embeddings are learnt."""

    card: str = "birdnet_2.4"
    """Its card: a name in core/embeddings/cards, or a .json file."""
    file: str | None = None
    """Its file (ONNX or LiteRT), where it is not the card's."""
    hop_seconds: float | None = None
    """Step from one of its windows to the next; None: the card's."""


@dataclass(frozen=True, kw_only=True)
class DistilledConfig(BackboneConfig):
    """A timm backbone on parts, projected to an embedding, and a linear layer on that."""

    backbone: str = BUNDLED_BACKBONE
    """Name of a timm model whose features are a map (convolutional, or Swin-like)."""
    embedding_size: int = 1024
    """Numbers in the embedding, those of the teacher's."""
    dropout: float = 0.1
    """Dropout before the last layer."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        require(self.embedding_size >= 1, f"model.embedding_size={self.embedding_size}: at least 1")


@dataclass(frozen=True, kw_only=True)
class DistilConfig(Config):
    """A run that begins with a teacher's embeddings."""

    model: DistilledConfig = field(default_factory=DistilledConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    embedding_share: float = 2 / 3
    """Share of the epochs that teach embeddings alone, before those that teach labels."""
    embedding_weight: float = 1.0
    """Weight of the distance to the teacher's embedding in the loss of the epochs that teach labels."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        share = self.embedding_share
        require(0 <= share < 1, f"embedding_share={share}: from 0 to below 1, so that labels are learnt too")
        require(self.embedding_weight >= 0, f"embedding_weight={self.embedding_weight}: 0 or more")

    @property
    def embedding_epochs(self) -> int:
        """Epochs that teach embeddings alone; the last one always teaches labels."""
        return min(round(self.embedding_share * self.epochs), self.epochs - 1)


CONFIG = DistilConfig(
    name="distil_016",
    epochs=30,
    model=DistilledConfig(),
    data=DataConfig(
        clip_seconds=3.0,
        part_seconds=3.0,
        valid_clip_seconds=9.0,
        short_clips="repeat",
        crop_grid="second",
        batch_size=16,
        valid_batch_size=16,
        min_epoch_steps=48,
        noise=NoiseConfig(probabilities=[]),
    ),
    mixup=MixupConfig(probability=0.5, selective_probability=0.0),
    spec_augment=SpecAugmentConfig(probability=0.0),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=1e-3, warmup_epochs=1.0, ema_decay=0.99),
)

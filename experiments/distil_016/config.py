"""distil_016: a small network learns the embeddings of a pretrained bird model, then the labels.

The first epochs teach the backbone no label at all: the clip's embedding turns towards the teacher's
(cosine), on every recording and on soundscapes that nobody labelled, while a linear layer learns labels from
what the embedding is already. The last ones teach labels to all of it, on what is labelled. The teacher is
needed for training only. Winners of BirdCLEF 2025 and 2026 started their networks so, from Perch.

Clips are as long as the teacher's windows, and a frame is twice as long as elsewhere here: half the work. The
student hears noise and stripes, its teacher the recording as it is.
"""

from dataclasses import dataclass, field

from core.config import (
    BUNDLED_BACKBONE,
    BackboneConfig,
    Config,
    FeatureConfig,
    LossConfig,
    MixupConfig,
    OptimConfig,
    SpecAugmentConfig,
    require,
)
from core.config_data import DataConfig


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """The pretrained network whose embeddings are learnt."""

    card: str = "birdnet_2.4"
    """Its card: a name in core/embeddings/cards, or a .json file."""
    file: str | None = None
    """Its file (ONNX or LiteRT), where it is not the card's."""
    hop_seconds: float | None = None
    """Step from one of its windows to the next; None: the card's."""
    unlabelled: bool = True
    """Whether it also hears the soundscapes of `data.root` that nobody labelled."""


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
    embedding_share: float = 0.4
    """Share of the epochs in which labels teach the last layer alone, before they teach all."""
    embedding_weight: float = 1.0
    """Weight of the distance to the teacher's embedding in the loss."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        share = self.embedding_share
        require(0 <= share < 1, f"embedding_share={share}: from 0 to below 1, so that labels are learnt too")
        require(self.embedding_weight >= 0, f"embedding_weight={self.embedding_weight}: 0 or more")

    @property
    def embedding_epochs(self) -> int:
        """Epochs in which labels teach the last layer alone; the last one always teaches labels to all."""
        return min(round(self.embedding_share * self.epochs), self.epochs - 1)


CONFIG = DistilConfig(
    name="distil_016",
    epochs=10,
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
    ),
    features=FeatureConfig(hop_length=1024),
    mixup=MixupConfig(probability=0.5, selective_probability=0.0),
    spec_augment=SpecAugmentConfig(max_time_width=20),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=1e-3, warmup_epochs=1.0, ema_decay=0.99),
)

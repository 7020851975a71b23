"""student_017: rounds of a noisy student on soundscapes that nobody labelled.

Finished runs say what they hear in each window; a new network learns labelled clips, each mixed half and half
with such a window, labels joined; then it is the teacher of the next round. The 2025 winner gained so from
private .930 to .950 in two rounds, as the 2026 second place repeats it.
"""

from dataclasses import dataclass, field

from core.config import (
    BUNDLED_BACKBONE,
    Config,
    DataConfig,
    LossConfig,
    MixupConfig,
    OptimConfig,
    TimmConfig,
    expand_home,
    require,
)


@dataclass(frozen=True, kw_only=True)
class PseudoLabelConfig:
    """What becomes of the teachers' probabilities."""

    powers: list[float] = field(default_factory=lambda: [1.0, 1.54, 1.82, 1.67])
    """Power to which they are raised, a round each; the last one holds for all that follow."""
    species_cap: int = 2000
    """Most windows in which one species is the most probable; the least confident ones are left out."""
    site_cap: int = 2000
    """Most windows of a site, or of a file whose site is unknown."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(len(self.powers) > 0, "pseudo_labels.powers: one power at least")
        require(min(self.powers) > 0, f"pseudo_labels.powers={self.powers}: must be positive")
        for name in ("species_cap", "site_cap"):
            require(getattr(self, name) >= 1, f"pseudo_labels.{name}={getattr(self, name)}: at least 1")


@dataclass(frozen=True, kw_only=True)
class NoisyStudentConfig(Config):
    """A run that learns from what others say of soundscapes; `mixup.selective_probability` is its share.

    That is the chance per batch of mixing each clip with a pseudo-labelled window instead of a scored bird.
    """

    teachers: list[str] = field(default_factory=lambda: ["outputs/timm_014"])
    """Runs, runs of all folds, or an experiment's folder, of which its last run is taken."""
    rounds: int = 2
    """Rounds at most; one that gains nothing is the last."""
    round: int = 1
    """The one that begins; each further one has the round before as its teacher."""
    pseudo_labels: PseudoLabelConfig = field(default_factory=PseudoLabelConfig)

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        expand_home(self, "teachers")
        require(1 <= self.round <= self.rounds, f"round={self.round}: from 1 to rounds={self.rounds}")
        require(len(self.teachers) > 0, "teachers: name at least one run")

    @property
    def power(self) -> float:
        """The power of this round."""
        powers = self.pseudo_labels.powers
        return powers[min(self.round, len(powers)) - 1]


CONFIG = NoisyStudentConfig(
    name="student_017",
    epochs=12,
    model=TimmConfig(backbone=BUNDLED_BACKBONE, dropout=0.25, drop_path=0.15),
    data=DataConfig(
        clip_seconds=5.0,
        valid_clip_seconds=10.0,
        short_clips="repeat",
        batch_size=8,
        valid_batch_size=16,
        min_epoch_steps=48,
    ),
    mixup=MixupConfig(selective_probability=1.0),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
    optim=OptimConfig(lr=7e-4, warmup_epochs=1.0, ema_decay=0.99),
)

"""timm_013: one network that learns what an ensemble says, for a fifth of the cost of five folds.

Distillation gained .015 to .020 for the fourth place of BirdCLEF 2023; here it is meant for speed. Binary
cross-entropy without smoothing has its optimum for a soft target at that target; the focal loss has not.
"""

from dataclasses import dataclass, field

from core.config import Config, DataConfig, LossConfig, TimmConfig, expand_home, require, require_probability


@dataclass(frozen=True, kw_only=True)
class StudentConfig(Config):
    """A run whose targets come from other runs too."""

    teachers: list[str] = field(default_factory=lambda: ["outputs/timm_007"])
    """Runs, runs of all folds, or an experiment's folder, of which its last run is taken."""
    teacher_share: float = 0.7
    """Share of the teachers' mean probability in a target; the rest is the label."""

    def __post_init__(self) -> None:
        """Check ranges."""
        super().__post_init__()
        expand_home(self, "teachers")
        require_probability("teacher_share", self.teacher_share)
        require(len(self.teachers) > 0 or self.teacher_share == 0, "teachers: name at least one run")


CONFIG = StudentConfig(
    name="timm_013",
    for_few="timm_014",
    model=TimmConfig(dropout=0.25),
    data=DataConfig(fold=None),
    loss=LossConfig(kind="bce", label_smoothing=0.0),
)

"""The configuration of a run: frozen dataclasses, importable without torch.

Python is the source of truth: an experiment's `config.py` holds what differs from these defaults, the
command line overrides single fields (`--mixup.alpha=0.4`; see `core.command_line`).
Defaults are those of the published solution Choiuijin1125/bclef2022 (timm_007) where it has one.
"""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Literal, Self

BUNDLED_BACKBONE = "tf_efficientnet_lite0.in1k"
"""The one whose pretrained weights are installed with the program."""


def require(condition: bool, message: str) -> None:
    """Raise `ValueError` with `message`, which names the dotted field, unless `condition` holds."""
    if not condition:
        raise ValueError(message)


def require_probability(name: str, value: float) -> None:
    """Raise `ValueError` unless `value` lies in [0, 1]."""
    require(0 <= value <= 1, f"{name}={value}: a probability lies between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Background noise mixed into training clips, after AddBackgroundNoise of audiomentations."""

    folders: list[str] = field(default_factory=list)
    """Folders of call-free audio, one per noise set; empty: `<data.root>/background` where it exists."""
    probabilities: list[float] = field(default_factory=lambda: [0.5, 0.25, 0.25])
    """Chance of mixing each set into a clip; sets are gated independently and stack."""
    min_snr_db: float = 0.0
    """Lowest signal-to-noise ratio in dB."""
    max_snr_db: float = 3.0
    """Highest signal-to-noise ratio in dB."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for probability in self.probabilities:
            require_probability("data.noise.probabilities", probability)
        require(
            len(self.folders) <= len(self.probabilities),
            f"data.noise.folders has {len(self.folders)} folders but data.noise.probabilities only "
            f"{len(self.probabilities)}: give one probability per folder",
        )
        require(
            self.min_snr_db <= self.max_snr_db,
            f"data.noise.min_snr_db={self.min_snr_db} exceeds data.noise.max_snr_db={self.max_snr_db}",
        )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which recordings, how they are cut into clips, and who validates."""

    root: str | None = None
    """Folder in the BirdCLEF layout; None: data/birdclef-2022 if it is there, else generated demo data."""
    extra_roots: list[str] = field(default_factory=list)
    """Further folders in that layout (such as BirdCLEF 2021) whose recordings only train."""
    cache: str | None = "data/cache"
    """Folder of the decoded int16 cache (64 kB per second of audio); None: decode at every read."""
    max_bad_share: float = 0.2
    """Largest share of missing or corrupt recordings with which a run still starts."""
    strict: bool = False
    """Leave out recordings that are damaged; otherwise what can be decoded of them is used, and listed."""
    clip_seconds: float = 30.0
    """Length of a clip in seconds, a whole number of parts."""
    valid_clip_seconds: float | None = None
    """Length of a validation clip in seconds; None: `clip_seconds`. A longer one is cut into more parts."""
    part_seconds: float = 5.0
    """Length of a part, the slice the backbone sees, in seconds."""
    short_clips: Literal["pad", "repeat"] = "pad"
    """How a recording shorter than a clip is filled: zeros at its end, or repeated."""
    crop_grid: Literal["sample", "second"] = "sample"
    """Where a random crop may start: any sample, or whole seconds as in the original."""
    batch_size: int = 36
    """Clips per optimiser step over all processes, before the scored half of selective mixup."""
    min_epoch_steps: int = 1
    """Least steps of an epoch; where recordings are too few for them, each comes round several times."""
    valid_batch_size: int = 48
    """Clips per validation batch and process."""
    num_workers: int | None = None
    """Loader processes per training process; None: 0 on a CPU, else up to 8."""
    fold: int | Literal["all"] | None = 0
    """Fold that validates; "all": every fold in turn; None: train on everything, validate nothing."""
    num_folds: int = 5
    """Number of folds."""
    fold_seed: int = 71
    """Seed of the fold assignment, apart from `seed` so that runs with other seeds stay comparable."""
    group_by_author: bool = False
    """Keep all scored recordings of an author in one fold."""
    valid_species: Literal["scored", "all"] = "scored"
    """Whose recordings validate; the rest always trains."""
    valid_clips: int = 1
    """Validation clips per recording, evenly spaced from its start to its end."""
    secondary: Literal["positive", "weight", "mask"] = "positive"
    """Secondary labels: full positives, positives of `secondary_weight`, or left out of the loss."""
    secondary_weight: float = 0.5
    """Target of a secondary label when `secondary` is "weight"."""
    use_ratings: bool = True
    """Weigh a recording's loss by rating / highest rating, between 0.1 and 1."""
    unrated: Literal["median", "lowest"] = "median"
    """A recording with rating 0 or none counts as the median rated one, or as the worst (as the original)."""
    min_rating: float = 0.0
    """Recordings rated below this do not train."""
    balance_power: float = 0.0
    """Draw training recordings with weight (recordings of the species) ** -power; 0: each once."""
    scored_repetition: int = 1
    """How often a recording with a scored primary species appears in an epoch."""
    undersample_power: float = 0.0
    """The same power for the scored pool of selective mixup; 1: every scored species equally often."""
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.part_seconds > 0, f"data.part_seconds={self.part_seconds}: must be positive")
        for name in ("clip_seconds", "valid_clip_seconds"):
            seconds = getattr(self, name)
            parts = 1.0 if seconds is None else seconds / self.part_seconds
            require(
                parts > 0.5 and math.isclose(parts, round(parts)),
                f"data.{name}={seconds} is not a whole number of parts of "
                f"data.part_seconds={self.part_seconds}",
            )
        for name in ("batch_size", "min_epoch_steps", "valid_batch_size", "valid_clips", "scored_repetition"):
            require(getattr(self, name) >= 1, f"data.{name}={getattr(self, name)}: at least 1")
        require(self.num_folds >= 2, f"data.num_folds={self.num_folds}: at least 2")
        if isinstance(self.fold, int):
            require(
                0 <= self.fold < self.num_folds,
                f"data.fold={self.fold}: folds are numbered 0 to {self.num_folds - 1}",
            )
        require_probability("data.max_bad_share", self.max_bad_share)
        require_probability("data.secondary_weight", self.secondary_weight)
        require(
            self.num_workers is None or self.num_workers >= 0,
            f"data.num_workers={self.num_workers}: None, 0 or more",
        )

    @property
    def num_parts(self) -> int:
        """Parts in a training clip."""
        return round(self.clip_seconds / self.part_seconds)

    @property
    def valid_seconds(self) -> float:
        """Length of a validation clip."""
        return self.clip_seconds if self.valid_clip_seconds is None else self.valid_clip_seconds

    @property
    def num_valid_parts(self) -> int:
        """Parts in a validation clip."""
        return round(self.valid_seconds / self.part_seconds)


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """The log-mel front end."""

    sample_rate: int = 32000
    """Samples per second that all audio is brought to."""
    n_fft: int = 2048
    """Window length in samples."""
    hop_length: int = 512
    """Step between frames in samples."""
    num_mels: int = 128
    """Number of mel bands."""
    f_min_hz: float = 50.0
    """Lower edge of the lowest band in Hz."""
    f_max_hz: float | None = 14000.0
    """Upper edge of the highest band in Hz; None: half the sample rate."""
    mel_scale: Literal["htk", "slaney"] = "htk"
    """Formula of the mel scale."""
    mel_norm: Literal["slaney"] | None = None
    """Area normalisation of the mel filters."""
    window: Literal["hann", "hamming"] = "hann"
    """Periodic Hann or symmetric Hamming window."""
    power: float = 2.0
    """Exponent of the magnitude: 2 power, 1 amplitude."""
    top_db: float | None = None
    """Clamp each item to this many dB below its own maximum."""
    scale: Literal["batch_norm", "affine", "instance"] = "batch_norm"
    """Normalisation of the dB values: batch norm per mel, (dB + 80) / 80, or per-item instance norm."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("sample_rate", "n_fft", "hop_length", "num_mels"):
            require(getattr(self, name) >= 1, f"features.{name}={getattr(self, name)}: at least 1")
        nyquist = self.sample_rate / 2
        high = nyquist if self.f_max_hz is None else self.f_max_hz
        require(
            0 <= self.f_min_hz < high <= nyquist,
            f"features.f_min_hz={self.f_min_hz} and features.f_max_hz={self.f_max_hz}: needs "
            f"0 <= f_min < f_max <= {nyquist:g} Hz (half the sample rate)",
        )


@dataclass(frozen=True, kw_only=True)
class MixupConfig:
    """Mixup and selective mixup on normalised log-mels."""

    alpha: float = 1.0
    """Coefficients are drawn from Beta(alpha, alpha)."""
    probability: float = 0.5
    """Chance per batch of ordinary mixup."""
    second_probability: float = 0.0
    """Chance per batch of a second ordinary mixup."""
    selective_probability: float = 0.8
    """Chance per batch of mixing every clip with one that holds a scored bird."""
    selective_alpha: float | None = None
    """Beta parameter of selective mixup; None: `alpha`."""
    selective_strength: float = 1.0
    """Scales the scored clip's share: 1 as drawn, 0 none of it."""
    norm_on_dropped_half: bool = False
    """Let the scored half take part in batch norm even when the batch is not mixed (as the original)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("probability", "second_probability", "selective_probability"):
            require_probability(f"mixup.{name}", getattr(self, name))
        require_probability("mixup.selective_strength", self.selective_strength)
        require(self.alpha > 0, f"mixup.alpha={self.alpha}: must be positive")
        require(
            self.selective_alpha is None or self.selective_alpha > 0,
            f"mixup.selective_alpha={self.selective_alpha}: None or positive",
        )


@dataclass(frozen=True, kw_only=True)
class SpecAugmentConfig:
    """Stripes of zeros over normalised log-mels, per part."""

    probability: float = 0.25
    """Chance per batch."""
    num_time_stripes: int = 2
    """Time stripes per part."""
    max_time_width: int = 64
    """Stripe widths are drawn below this many frames."""
    num_mel_stripes: int = 2
    """Mel stripes per part."""
    max_mel_width: int = 8
    """Stripe widths are drawn below this many mels."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("spec_augment.probability", self.probability)
        for name in ("max_time_width", "max_mel_width"):
            value = getattr(self, name)
            require(value >= 1, f"spec_augment.{name}={value}: at least 1")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Loss on clip logits and, if wished, on the loudest frame."""

    kind: Literal["focal", "bce"] = "focal"
    """Binary cross-entropy per species, with or without the focal factors."""
    focal_alpha: float = 0.25
    """Weight of the positive focal term."""
    focal_gamma: float = 2.0
    """Exponent of the focal factors."""
    frame_term_weight: float = 0.0
    """Weight of the same loss on the maximum over frames; 0 as the original ran, 1 as it was meant."""
    label_smoothing: float = 0.1
    """Added to every training target, clipped at 1 (the original's form)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("loss.label_smoothing", self.label_smoothing)
        require(self.frame_term_weight >= 0, f"loss.frame_term_weight={self.frame_term_weight}: 0 or more")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW with a cosine over the true number of optimiser steps."""

    lr: float = 1e-3
    """Highest learning rate."""
    min_lr: float = 1e-6
    """Learning rate at the end of the cosine."""
    warmup_epochs: float = 0.0
    """Epochs of linear warm-up from 0."""
    weight_decay: float = 1e-6
    """Decoupled weight decay."""
    decay_norm_and_bias: bool = True
    """Whether vectors (biases, norms) and position tables decay too, as torch does by default."""
    layer_decay: float | None = None
    """Learning rate of each block as a share of the next one's, for pretrained networks; None: one rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """AdamW's moments."""
    max_grad_norm: float | None = None
    """Clip the gradient's norm; None: no clipping."""
    accumulation: int = 1
    """Micro-batches per optimiser step; `data.batch_size` stays the size of the whole step."""
    ema_decay: float | None = None
    """Decay of the exponential moving average of weights, used for validation; None: off."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.lr > 0, f"optim.lr={self.lr}: must be positive")
        require(0 <= self.min_lr <= self.lr, f"optim.min_lr={self.min_lr}: between 0 and optim.lr={self.lr}")
        require(self.accumulation >= 1, f"optim.accumulation={self.accumulation}: at least 1")
        require(self.warmup_epochs >= 0, f"optim.warmup_epochs={self.warmup_epochs}: 0 or more")
        if self.layer_decay is not None:
            require(0 < self.layer_decay <= 1, f"optim.layer_decay={self.layer_decay}: between 0 and 1")
        if self.ema_decay is not None:
            require(0 < self.ema_decay < 1, f"optim.ema_decay={self.ema_decay}: between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class ValidConfig:
    """How validation is scored."""

    threshold_quantile: float = 0.85
    """The decision threshold is this quantile of all scored probabilities, pooled over the fold."""
    num_resamples: int = 4000
    """Bootstrap resamples behind each interval."""
    confidence: float = 0.95
    """Coverage that the intervals aim at."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("valid.threshold_quantile", self.threshold_quantile)
        require(self.num_resamples >= 100, f"valid.num_resamples={self.num_resamples}: at least 100")
        require(0 < self.confidence < 1, f"valid.confidence={self.confidence}: between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Weights & Biases."""

    project: str = "birdclef"
    """Project name."""
    entity: str | None = None
    """Team or user; None: the account's default."""
    tags: list[str] = field(default_factory=list)
    """Tags of the run."""
    use: bool = True
    """False: no W&B at all; the run's folder is written as always."""


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Base of a network's own configuration."""

    @property
    def starts_random(self) -> bool:
        """Whether training may start from random weights, which takes more steps."""
        return True

    def shortened(self) -> Self:
        """Return a variant that learns in minutes on two cores; itself unless a subclass must shrink."""
        return self


@dataclass(frozen=True, kw_only=True)
class BackboneConfig(ModelConfig):
    """Base of the networks around a timm backbone."""

    backbone: str = "tf_efficientnet_b0.ns_jft_in1k"
    """Name of a timm model whose features are a map (convolutional, or Swin-like)."""
    pretrained: bool | Literal["if_reachable"] = True
    """Start from timm's pretrained weights; "if_reachable": random ones when no hub answers."""
    dropout: float = 0.5
    """Dropout in the head."""
    drop_path: float = 0.0
    """Stochastic depth of the backbone."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_probability("model.dropout", self.dropout)
        require_probability("model.drop_path", self.drop_path)

    @property
    def starts_random(self) -> bool:
        """Whether its weights are not certainly pretrained."""
        return self.pretrained is not True

    def shortened(self) -> Self:
        """Return the network around a small backbone whose pretrained weights are always at hand."""
        return dataclasses.replace(self, backbone=BUNDLED_BACKBONE)


@dataclass(frozen=True, kw_only=True)
class TimmConfig(BackboneConfig):
    """TimmSED: a timm backbone on parts, pooled by the attention head."""

    pool_axis: Literal["time", "source"] = "time"
    """Axis of the attention: time, or the original's frequency cells (for parity)."""


@dataclass(frozen=True, kw_only=True)
class GemConfig(BackboneConfig):
    """The network of the 2021 second place: a timm backbone on parts, generalised mean pooling over all."""

    backbone: str = "eca_nfnet_l0.ra2_in1k"
    """Name of a timm model whose features are a map (convolutional, or Swin-like)."""
    dropout: float = 0.0
    """Dropout before the head."""
    exponent: float = 3.0
    """Start of the learned exponent: 1 is the mean, large ones come near the maximum."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """One training run."""

    name: str
    """Experiment; its runs go to `<output_dir>/<name>/`."""
    seed: int = 71
    """The one seed of every random decision."""
    epochs: int = 20
    """Passes over the training recordings."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision of the network; log-mel and loss are always float32."""
    schedule: Literal["auto", "demo", "full"] = "auto"
    """Length of the run: auto shortens it on demo data only; see `core.schedule`."""
    resume: bool = False
    """Continue this experiment's last run from its last checkpoint."""
    output_dir: str = "outputs"
    """Where runs are recorded."""
    for_few: str | None = None
    """The experiment that learns more from few recordings, which a run on few names; None: this one does."""
    checkpoint_steps: int = 0
    """Steps between checkpoints inside an epoch; 0: at the end of each epoch only."""
    data: DataConfig = field(default_factory=DataConfig)
    features: FeatureConfig = field(default_factory=FeatureConfig)
    model: ModelConfig = field(default_factory=TimmConfig)
    mixup: MixupConfig = field(default_factory=MixupConfig)
    spec_augment: SpecAugmentConfig = field(default_factory=SpecAugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    valid: ValidConfig = field(default_factory=ValidConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.epochs >= 1, f"epochs={self.epochs}: at least 1")
        require(self.checkpoint_steps >= 0, f"checkpoint_steps={self.checkpoint_steps}: 0 or more")
        batch, micro = self.data.batch_size, self.optim.accumulation
        require(
            batch % micro == 0,
            f"data.batch_size={batch} is not divisible by optim.accumulation={micro}",
        )

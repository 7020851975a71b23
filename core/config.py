"""The configuration of a run: frozen dataclasses, importable without torch.

Python is the source of truth: an experiment's `config.py` holds what differs from these defaults, the
command line overrides single fields (`--mixup.alpha=0.4`; see `core.command_line`).
Defaults are those of the published solution Choiuijin1125/bclef2022 (timm_007) where it has one.
"""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, Self

import tyro

from core.config_checks import (
    expand_home,
    require,
    require_finite,
    require_name,
    require_probability,
    require_seed,
)
from core.config_data import DataConfig

BUNDLED_BACKBONE = "tf_efficientnet_lite0.in1k"
"""The one whose pretrained weights are installed with the program."""
RunMetric = Literal["score", "macro_auc", "padded_cmap", "micro_f1", "top1"]
"""What a run logs: 2022's score, 2024 to 2026's ROC-AUC, 2023's cmAP, 2021's F1 by row, top-1 accuracy."""
MetricName = Literal[RunMetric, "cmap"]
"""What is compared beside: cmAP without padding."""
TrackerName = Literal["wandb", "tensorboard", "mlflow", "trackio"]
"""Where a run is recorded beside its folder, as Accelerate names them."""


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
        require(
            0 <= self.f_min_hz < self.highest_hz <= nyquist,
            f"features.f_min_hz={self.f_min_hz} and features.f_max_hz={self.f_max_hz}: needs "
            f"0 <= f_min < f_max <= {nyquist:g} Hz (half the sample rate)",
        )
        bins = self.n_fft // 2 + 1
        require(
            self.num_mels <= bins, f"features.num_mels={self.num_mels}: at most {bins}, as n_fft has bins"
        )
        require(self.power > 0, f"features.power={self.power}: must be positive")
        require(self.top_db is None or self.top_db > 0, f"features.top_db={self.top_db}: must be positive")

    @property
    def highest_hz(self) -> float:
        """Upper edge of the highest band in Hz."""
        return self.sample_rate / 2 if self.f_max_hz is None else self.f_max_hz


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
        for name in ("probability", "second_probability", "selective_probability", "selective_strength"):
            require_probability(f"mixup.{name}", getattr(self, name))
        for name in ("alpha", "selective_alpha"):
            value = getattr(self, name)
            require(value is None or value > 0, f"mixup.{name}={value}: must be positive")


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
            require(getattr(self, name) >= 1, f"spec_augment.{name}={getattr(self, name)}: at least 1")
        for name in ("num_time_stripes", "num_mel_stripes"):
            require(getattr(self, name) >= 0, f"spec_augment.{name}={getattr(self, name)}: 0 or more")


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Loss on clip logits and, if wished, on the loudest frame."""

    kind: Literal["focal", "bce", "soft_auc"] = "focal"
    """Binary cross-entropy per species, with or without the focal factors; or that of pairs of clips of which
    one holds the species, and a share of the plain one."""
    focal_alpha: float = 0.25
    """Weight of the positive focal term."""
    focal_gamma: float = 2.0
    """Exponent of the focal factors."""
    auc_margin: float = 1.0
    """Of "soft_auc": factor of the difference between the logits of a pair."""
    auc_bce_weight: float = 0.25
    """Of "soft_auc": weight of the plain binary cross-entropy beside the pairs."""
    frame_term_weight: float = 0.0
    """Weight of the same loss on the maximum over frames; 0 as the original ran, 1 as it was meant."""
    label_smoothing: float = 0.1
    """Added to every training target, clipped at 1 (the original's form)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("label_smoothing", "focal_alpha"):
            require_probability(f"loss.{name}", getattr(self, name))
        require(self.auc_margin > 0, f"loss.auc_margin={self.auc_margin}: must be positive")
        for name in ("frame_term_weight", "focal_gamma", "auc_bce_weight"):
            require(getattr(self, name) >= 0, f"loss.{name}={getattr(self, name)}: 0 or more")


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
    swa_from: float | None = None
    """Share of the epochs after which the weights at the end of each epoch are averaged alike (SWA), used for
    validation; statistics of batch norm are those of the last. None: off."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.lr > 0, f"optim.lr={self.lr}: must be positive")
        require(0 <= self.min_lr <= self.lr, f"optim.min_lr={self.min_lr}: between 0 and optim.lr={self.lr}")
        require(self.accumulation >= 1, f"optim.accumulation={self.accumulation}: at least 1")
        for name in ("warmup_epochs", "weight_decay"):
            require(getattr(self, name) >= 0, f"optim.{name}={getattr(self, name)}: 0 or more")
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            f"optim.betas={self.betas}: two numbers from 0 to below 1",
        )
        if self.max_grad_norm is not None:
            require(self.max_grad_norm > 0, f"optim.max_grad_norm={self.max_grad_norm}: must be positive")
        if self.layer_decay is not None:
            require(0 < self.layer_decay <= 1, f"optim.layer_decay={self.layer_decay}: between 0 and 1")
        if self.ema_decay is not None:
            require(0 < self.ema_decay < 1, f"optim.ema_decay={self.ema_decay}: between 0 and 1")
        if self.swa_from is not None:
            require(0 <= self.swa_from < 1, f"optim.swa_from={self.swa_from}: from 0 to below 1")
            require(
                self.ema_decay is None,
                f"optim.swa_from={self.swa_from} and optim.ema_decay={self.ema_decay}: two averages of the "
                "weights; set one of them to None",
            )


@dataclass(frozen=True, kw_only=True)
class ValidConfig:
    """How validation is scored."""

    metric: RunMetric | None = None
    """The main one, which chooses the best epoch; None: that of the year whose folder `data.root` is."""
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

    @property
    def main_metric(self) -> RunMetric:
        """The settled `metric`; runs that are older than this setting followed macro ROC-AUC."""
        return self.metric or "macro_auc"


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Weights & Biases, or another tracker of Accelerate."""

    project: str = "birdclef"
    """Project name."""
    entity: str | None = None
    """Team or user; None: the account's default."""
    tags: list[str] = field(default_factory=list)
    """Tags of the run."""
    notes: str | None = None
    """What is to be remembered of the run."""
    use: bool = True
    """False: no tracker at all; the run's folder is written as always."""
    log_with: Annotated[TrackerName, tyro.conf.arg(aliases=["--tracking.with"])] = "wandb"
    """The tracker; all but W&B take rows, settings, scores and, where they can, pictures."""
    audio: bool = True
    """W&B: the validated clips that are drawn as spectrograms can be listened to."""
    checkpoint: bool = False
    """W&B: keep the best checkpoint as an artifact."""
    code: bool = False
    """W&B: keep the project's Python files."""


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
    recompute: bool = False
    """Keep no block's feature maps in training but compute them anew for the gradient (checkpointing): about
    a third slower, room for larger batches, the same numbers."""

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
        return replace(self, backbone=BUNDLED_BACKBONE)


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
    compile: bool = False
    """Compile the network: faster steps on a GPU after one or two minutes; on a CPU it seldom pays."""
    schedule: Literal["auto", "demo", "full"] = "auto"
    """Length of the run: auto shortens it on demo data only; see `core.schedule`."""
    resume: str | None = None
    """Continue a run from its last checkpoint: the experiment's last one, or with `--resume=RUN` that of
    this name or folder."""
    output_dir: str = "outputs"
    """Where runs are recorded."""
    profile: bool = False
    """Profile ten steps of the first epoch: a table and a trace in the run's folder."""
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
        expand_home(self, "output_dir")
        require_finite(self)
        require_name("name", self.name)
        require_seed("seed", self.seed)
        require(self.epochs >= 1, f"epochs={self.epochs}: at least 1")
        require(self.checkpoint_steps >= 0, f"checkpoint_steps={self.checkpoint_steps}: 0 or more")
        part = self.data.part_seconds * self.features.sample_rate
        require(
            self.features.n_fft // 2 < part,
            f"features.n_fft={self.features.n_fft}: less than twice the {part:g} samples of a part",
        )
        batch, micro = self.data.batch_size, self.optim.accumulation
        recomputes = isinstance(self.model, BackboneConfig) and self.model.recompute
        require(
            not self.compile or (micro == 1 and not recomputes),
            "compile=True: takes whole batches, use --optim.accumulation=1 and --model.recompute=False",
        )
        require(batch % micro == 0, f"data.batch_size={batch} is not divisible by optim.accumulation={micro}")

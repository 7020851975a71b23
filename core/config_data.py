"""Which recordings, how they are cut into clips, and who validates: the settings of the data."""

import math
from dataclasses import dataclass, field
from typing import Literal

from core.config_checks import expand_home, require, require_finite, require_probability, require_seed

LEAST_SECONDS, MOST_SECONDS = 0.01, 3600.0
"""Of a part, and of a clip, which is held in memory."""


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
        expand_home(self, "folders")
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
class ColumnConfig:
    """Names in a lab's own table of recordings."""

    table: str | None = None
    """File in `data.root`; None: train_metadata.csv, train.csv, or folders of audio named by species."""
    primary_label: str = "primary_label"
    """Column of the species."""
    filename: str = "filename"
    """Column of the audio file, relative to the folder of audio or to `data.root`."""
    secondary_labels: str = "secondary_labels"
    """Column of further species that are heard: ['a', 'b'], or a;b."""
    rating: str = "rating"
    """Column of the recording's quality, a number; 0 or blank: unrated."""
    author: str = "author"
    """Column of who recorded."""
    scientific_name: str = "scientific_name"
    """Column of the species' scientific name."""
    common_name: str = "common_name"
    """Column of the species' common name."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which recordings, how they are cut into clips, and who validates."""

    root: str | None = None
    """Folder of recordings, or hf://owner/name/config; None: data/birdclef-2022 if it is there, else a
    generated demo."""
    extra_roots: list[str] = field(default_factory=list)
    """Further such folders (BirdCLEF 2021's, a lab's) whose recordings only train."""
    columns: ColumnConfig = field(default_factory=ColumnConfig)
    """How the table of recordings in each of them is called, and its columns."""
    cache: str | None = "data/cache"
    """Folder of the decoded int16 cache (64 kB per second of audio); None: decode at every read."""
    cache_format: Literal["pcm", "flac"] = "pcm"
    """Samples as they are, or as FLAC: about half the space, and a clip is decoded at each read."""
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
    """Threads per process that gather batches ahead; None: 0 on a CPU, else one a core, at most 4."""
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
    """Draw items with weight (items of the species) ** -power; 0: each once. A labelled window is one of its
    rarest species."""
    scored_repetition: int = 1
    """How often a recording with a scored primary species appears in an epoch."""
    undersample_power: float = 0.0
    """The same power for the scored pool of selective mixup; 1: every scored species equally often."""
    soundscapes: Literal["train_and_validate", "validate", "ignore"] = "train_and_validate"
    """What labelled soundscapes of `root` are for. Those that a fold validates never train in it."""
    soundscape_repetition: int = 1
    """How often a labelled window appears in an epoch."""
    noise: NoiseConfig = field(default_factory=NoiseConfig)

    def __post_init__(self) -> None:
        """Check ranges."""
        expand_home(self, "root", "extra_roots", "cache")
        require_finite(self, "data.")
        require_seed("data.fold_seed", self.fold_seed)
        require(
            self.part_seconds >= LEAST_SECONDS,
            f"data.part_seconds={self.part_seconds}: at least {LEAST_SECONDS:g}",
        )
        for name in ("clip_seconds", "valid_clip_seconds"):
            seconds = getattr(self, name)
            parts = 1.0 if seconds is None else seconds / self.part_seconds
            require((seconds or 0) <= MOST_SECONDS, f"data.{name}={seconds}: at most {MOST_SECONDS:g}")
            require(
                parts > 0.5 and math.isclose(parts, round(parts)),
                f"data.{name}={seconds} is not a whole number of parts of "
                f"data.part_seconds={self.part_seconds}",
            )
        for name in (
            "batch_size", "min_epoch_steps", "valid_batch_size", "valid_clips", "scored_repetition",
            "soundscape_repetition",
        ):  # fmt: skip
            require(getattr(self, name) >= 1, f"data.{name}={getattr(self, name)}: at least 1")
        require(self.num_folds >= 2, f"data.num_folds={self.num_folds}: at least 2")
        if isinstance(self.fold, int):
            require(
                0 <= self.fold < self.num_folds,
                f"data.fold={self.fold}: folds are numbered 0 to {self.num_folds - 1}",
            )
        for name in ("min_rating", "balance_power", "undersample_power"):
            require(getattr(self, name) >= 0, f"data.{name}={getattr(self, name)}: 0 or more")
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

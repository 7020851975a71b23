"""The configuration of an inference run, importable without torch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import tyro

from core.config import require
from core.config_checks import expand_home, require_finite, require_output
from core.data.layouts import SubmissionForm
from core.data.recorders import compile_pattern
from core.scoring.decisions import DecisionConfig

Backend = Literal[
    "torch",
    "torch_bf16",
    "torch_compile",
    "onnxruntime",
    "openvino",
    "openvino_bf16",
    "openvino_int8",
]
DetectionFormat = Literal["raven", "birdnet", "audacity", "hoplite"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)


def require_weights(weights: Sequence[float], checkpoints: Sequence[str]) -> None:
    """Raise `ValueError` unless there are no weights, or one that is not negative for each checkpoint."""
    right = len(weights) in (0, len(checkpoints))
    require(right, f"weights has {len(weights)} numbers for {len(checkpoints)} checkpoints")
    positive = all(weight >= 0 for weight in weights) and (not weights or sum(weights) > 0)
    require(positive, f"weights={weights}: none negative, not all 0")


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """How windows are cut and predicted."""

    shifts: tuple[float, ...] = (0.0,)
    """Starts of the window grids in seconds; further ones are averaged in by their overlap, such as 0 2.5."""
    context: int = 1
    """Windows that a model sees at once, itself among them: 6 is a clip of 30 s, as part models train."""
    smoothing: float = 0.0
    """Share that each neighbouring window has in a window's probability."""
    batch: int | None = None
    """Windows per batch, which files share; None: 12 on a CPU and 256 on a GPU, then more while that is
    faster and memory is free."""
    decoders: int | None = None
    """Threads that decode ahead, a file each; None: 1 on a CPU, one a core, at most 16, with a GPU."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(
            len(self.shifts) > 0 and all(0 <= shift < 5 for shift in self.shifts),
            f"windows.shifts={self.shifts}: one or more, each from 0 to below 5 seconds",
        )
        require(self.context >= 1, f"windows.context={self.context}: at least 1")
        require(0 <= self.smoothing <= 1 / 3, f"windows.smoothing={self.smoothing}: between 0 and 1/3")
        for name in ("batch", "decoders"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"windows.{name}={value}: None, or at least 1")


@dataclass(frozen=True, kw_only=True)
class RayConfig:
    """Where `engine=ray` predicts, and by how many."""

    address: str | None = None
    """host:port of the cluster's head; None: RAY_ADDRESS, or else the cores and GPUs of this machine."""
    workers: int | None = None
    """Predictors, each with all models; None: as many as the cluster has room for."""
    cores: int | None = None
    """CPU cores of each; None: its GPU's share of the machine, or 4, or all that the smallest machine has."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("workers", "cores"):
            value = getattr(self, name)
            require(value is None or value >= 1, f"ray.{name}={value}: None, or at least 1")


_OUTPUTS = {
    "out": (".csv",), "probabilities": (".parquet", ".csv"), "by_recording": (".parquet", ".csv"),
    "detections": (),
}  # fmt: skip
"""Field -> endings of what is written."""


@dataclass(frozen=True, kw_only=True)
class InferenceConfig:
    """Predict soundscapes with one or more checkpoints. Further commands: export, bundle, check (--help)."""

    soundscapes: tuple[str, ...]
    """Audio files, or folders that are searched for them; addresses such as s3://bucket/folder, too."""
    checkpoints: tuple[str, ...] = ()
    """Runs, runs of all folds, or checkpoint folders; together they are one ensemble."""
    exported: str | None = None
    """Folder of `core.inference export`, instead of `checkpoints`: the same models, ready for each engine."""
    backend: Backend | Literal["auto"] = "auto"
    """What runs the networks; auto: torch, or with `exported` the fastest engine that passed parity."""
    engine: Literal["local", "ray"] = "local"
    """Who predicts: this process, or workers on every GPU and machine of a Ray cluster."""
    ray: RayConfig = field(default_factory=RayConfig)
    out: str = "submission.csv"
    """The submission, rows in the order of `test`."""
    form: SubmissionForm | None = None
    """Of the submission: birds as in 2021, targets as in 2022, wide (a probability a class) as since; None:
    that of `test`, else of the year whose folder trained the first checkpoint, wide where it was of none."""
    test: str | None = None
    """Table of the wanted rows; None: test.csv or sample_submission.csv beside the folder of soundscapes,
    where they name its files, or else every window."""
    species: Literal["scored", "all"] = "scored"
    """Whom probabilities, detections and recordings tell of: the scored species, or every trained one. The
    submission and its threshold stay those of the scored ones, but for further rows that `test` asks for."""
    probabilities: str | None = None
    """Also write every probability, .parquet or .csv, one row a window."""
    by_recording: str | None = None
    """Also write a table, .parquet or .csv, of each soundscape's species: mean, maximum, rank by maximum."""
    detections: str | None = None
    """Also write a folder of detections, by default Raven selection tables and one BirdNET-style csv."""
    detections_format: tuple[DetectionFormat, ...] = ("raven", "birdnet")
    """Of `detections`: tables of these tools; audacity has a label track a soundscape, hoplite one csv."""
    detections_by: Literal["window", "segment"] = "window"
    """Edges of detections: whole windows of 5 s, or half seconds above the threshold."""
    nocall: str | None = None
    """Checkpoint of a bird / no-call model, for `post.gate`."""
    weights: tuple[float, ...] = ()
    """Weight of each of `checkpoints`; empty: all alike."""
    combine: Literal["mean", "logit", "rank", "min"] = "mean"
    """How members make an ensemble: mean of probabilities, of logits, of ranks; or the minimum."""
    which: Literal["last", "best"] = "last"
    """The checkpoint of a run that is taken."""
    windows: WindowConfig = field(default_factory=WindowConfig)
    post: DecisionConfig = field(default_factory=DecisionConfig)
    tuned: str | None = None
    """Decision from the tuned.json of `python -m analysis.thresholds`; `post` is then ignored."""
    pattern: str | None = None
    """Regular expression with some of the groups (?P<site>...), (?P<date>...) and (?P<time>...), for the path
    below the folder; None: names, folders and headers of usual recorders are known."""
    strict: bool = False
    """Leave out soundscapes that are damaged; otherwise what can be decoded is predicted, and listed."""
    device: str | None = None
    """Such as cuda:0 or cpu; None: a GPU where there is one."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(
            (len(self.checkpoints) > 0) != (self.exported is not None),
            "checkpoints or exported: name runs, or the folder of an export, and not both",
        )
        require(len(self.soundscapes) > 0, "soundscapes: at least one file or folder")
        if self.pattern is not None:
            compile_pattern(self.pattern)
        require_weights(self.weights, self.checkpoints)
        require_finite(self)
        expand_home(self, "soundscapes", "checkpoints", "exported", "test", "nocall", "tuned", *_OUTPUTS)
        for name in _OUTPUTS:
            require_output(name, getattr(self, name), _OUTPUTS[name], is_folder=name == "detections")
        written = [getattr(self, name) for name in _OUTPUTS if getattr(self, name) is not None]
        twice = next((file for file in written if written.count(file) > 1), None)
        require(twice is None, f"{twice}: is to be two files; give each its own name")
        for text in self.soundscapes:
            is_shared = self.engine == "local" or not text.startswith("memory://")
            require(is_shared, f"soundscapes={text}: with --engine=ray other processes cannot read it")
        require(
            self.engine == "local" or self.device in (None, "cpu", "cuda"),
            f"device={self.device}: with --engine=ray cpu, cuda or None; each worker gets a GPU of its own",
        )
        require(
            self.detections_by == "window" or (self.detections is not None and self.windows.shifts[0] == 0),
            "detections_by=segment needs --detections=FOLDER, and 0 as the first of windows.shifts",
        )
        require(
            self.post.gate == "off" or self.nocall is not None,
            f"post.gate={self.post.gate} needs --nocall=CHECKPOINT",
        )


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Write an ensemble for several engines, and measure which of them may be used."""

    checkpoints: tuple[str, ...]
    """Runs, runs of all folds, or checkpoint folders; together they are one ensemble."""
    soundscapes: tuple[str, ...]
    """Real audio to compare the engines on, and to calibrate int8 with: files or folders."""
    out: str = "exported"
    """Folder to write."""
    truth: str | None = None
    """Table of `row_id,target` for the soundscapes: with it, engines that are not exact are judged by what
    they do to the metric; without, they never pass."""
    backends: tuple[Backend, ...] = ("torch", "torch_bf16", "onnxruntime", "openvino", "openvino_bf16")
    """Engines to prepare and compare."""
    context: int = 1
    """Windows that a model sees at once; as `windows.context` later."""
    whole: bool = False
    """Also write whole.onnx per model, from waves to logits, for programs of your own."""
    weights: tuple[float, ...] = ()
    """Weight of each of `checkpoints`; empty: all alike."""
    which: Literal["last", "best"] = "last"
    """The checkpoint of a run that is taken."""
    max_windows: int = 600
    """Windows to compare on."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(len(self.checkpoints) > 0, "checkpoints: at least one")
        require(
            len(self.soundscapes) > 0,
            "soundscapes: name a folder or files of real audio, to compare engines and calibrate int8 on",
        )
        require(len(self.backends) > 0, "backends: at least one")
        require(self.context >= 1, f"context={self.context}: at least 1")
        require(self.max_windows >= self.context, f"max_windows={self.max_windows}: at least context")
        require_finite(self)
        require_weights(self.weights, self.checkpoints)
        expand_home(self, "checkpoints", "soundscapes", "out", "truth")
        require_output("out", self.out, is_folder=True)


@dataclass(frozen=True, kw_only=True)
class BundleConfig:
    """One folder or zip with models, code and a list of wheels, for a machine without internet."""

    exported: str
    """Folder of `core.inference export`."""
    out: str = "bundle.zip"
    """Folder, or zip by its ending."""
    download: bool = False
    """Fetch the wheels too, for this Python and this kind of machine."""

    def __post_init__(self) -> None:
        """Check that the bundle can be written."""
        expand_home(self, "exported", "out")
        require(not os.path.lexists(self.out), f"out={self.out}: exists; name another, or remove it")
        require_output("out", self.out)


@dataclass(frozen=True, kw_only=True)
class CheckConfig:
    """Say whether a submission is right, and what time the year grants; the status is 1 when it is wrong."""

    submission: tyro.conf.Positional[str]
    """Of any year's form, which the host's table shows."""
    test: str | None = None
    """The competition's test.csv."""
    sample: str | None = None
    """Its sample_submission.csv, where there is no test.csv."""
    soundscapes: tuple[str, ...] = ()
    """Files or folders that were predicted, where the tables name but a part of their windows."""

    def __post_init__(self) -> None:
        """Check that there is something to compare with."""
        require(
            self.test is not None or self.sample is not None, "test or sample: name one of the host's tables"
        )
        expand_home(self, "submission", "test", "sample", "soundscapes")

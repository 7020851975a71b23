"""What every network here is: waves in, one `Output` out, with the spectrogram step in common."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.config import FeatureConfig
from core.models.log_mel import LogMel, MelScaler, cut_parts
from core.models.originals import Names, load_renamed

Augment = Callable[[Tensor], Tensor]
"""Maps normalised log-mels (batch, part, 1, mel, frame) to such, maybe with fewer items."""


class Output(NamedTuple):
    """Logits of a clip and of its segments, which lie evenly over the clip."""

    clip_logit: Tensor
    """(batch, species)."""
    segment_logit: Tensor
    """(batch, segment, species)."""
    num_frames: int
    """Spectrogram frames in the clip, over all parts."""
    embedding: Tensor | None = None
    """(batch, number) of the clip, from a network that makes one."""

    @property
    def frame_logit(self) -> Tensor:
        """(batch, frame, species): segment logits stretched to the frames of the clip."""
        return stretch_segments(self.segment_logit, self.num_frames)

    def segment_times(self, clip_seconds: float) -> Tensor:
        """Return the middle of each segment in seconds from the clip's start, (segment,)."""
        number = self.segment_logit.shape[1]
        return (torch.arange(number) + 0.5) * (clip_seconds / number)


class SpeciesModel(nn.Module):
    """Base of all networks: log-mel, normalisation and the cut into parts; `classify` is the network.

    Every network is built from its configuration, that of the log-mel, and its number of species.
    `front_end` turns waves into pictures (batch, 1, mel, frame) and has a `config`; None: log-mels.
    """

    original_names: ClassVar[Names] = {}
    """How the original's names become ours, for `load_original`."""

    def __init__(self, features: FeatureConfig, front_end: nn.Module | None = None) -> None:
        super().__init__()
        self.front_end: Any = LogMel(features) if front_end is None else front_end
        self.scaler = MelScaler(features)
        self.compiled: Callable[[Tensor], Output] | None = None

    @property
    def front_end_key(self) -> Any:
        """What makes front ends equal: the normalisation is a step of each network's own, after it."""
        config = self.front_end.config
        return replace(config, scale="affine") if isinstance(config, FeatureConfig) else config

    def forward(self, wave: Tensor, num_parts: int = 1, augment: Augment | None = None) -> Output:
        """Return the logits of a batch of clips.

        Parameters
        ----------
        wave
            (batch, sample) float in [-1, 1] or int16; the length is a multiple of `num_parts`.
        num_parts
            Parts that a clip is cut into; 1 for a single 5 s window.
        augment
            Applied to the normalised log-mels, between spectrogram and network. May mix items and return
            fewer than it was given.
        """
        return self.from_mels(self.front_end(cut_parts(wave, num_parts)), num_parts, augment)

    def from_mels(self, mels: Tensor, num_parts: int = 1, augment: Augment | None = None) -> Output:
        """Return the logits of a batch of spectrograms.

        Parameters
        ----------
        mels
            (batch * part, 1, mel, frame) in dB, as `front_end` gives them.
        num_parts, augment
            As in `forward`.
        """
        parts = self.scaler(mels).unflatten(0, (-1, num_parts))  # (batch, part, 1, mel, frame)
        if augment is not None:
            parts = augment(parts)
        if self.training and self.compiled is not None:
            torch.compiler.cudagraph_mark_step_begin()
            return self.compiled(parts)
        return self.classify(parts)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits from normalised log-mels (batch, part, 1, mel, frame); a subclass's own."""
        raise NotImplementedError

    def compile_training(self) -> None:
        """Compile `classify` for batches that train, all of one size; copies made before stay as they are.

        On a GPU a step's launches are recorded once and replayed (CUDA graphs): the outputs of a step are
        overwritten by the next one.
        """
        on_gpu = next(self.parameters()).is_cuda
        self.compiled = torch.compile(
            self.classify, dynamic=False, mode="reduce-overhead" if on_gpu else None
        )

    def load_original(self, weights: Mapping[str, Tensor]) -> None:
        """Load an original's weights under its names; the class says of which, and how to build it for them.

        Raises
        ------
        RuntimeError
            If a tensor is missing, left over, or of another shape.
        """
        load_renamed(self, weights, self.original_names)


def concatenate_parts(maps: Tensor, batch: int) -> Tensor:
    """Return (batch, channel, part * segment, ...) from (batch * part, channel, segment, ...)."""
    return maps.unflatten(0, (batch, -1)).transpose(1, 2).flatten(2, 3)


def stretch_segments(segment_logit: Tensor, num_frames: int) -> Tensor:
    """Return (batch, frame, species) float32: segments repeated, then interpolated, edges aligned."""
    repeats = max(num_frames // segment_logit.shape[1], 1)
    repeated = segment_logit.repeat_interleave(repeats, dim=1).transpose(1, 2)
    stretched = functional.interpolate(repeated.float(), num_frames, mode="linear", align_corners=True)
    return stretched.transpose(1, 2)

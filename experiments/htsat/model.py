"""HTS-AT on timm's Swin transformer, written anew after RetroCirce/HTS-Audio-Transformer (ICASSP 2022)."""

from typing import Any, ClassVar

import torch
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn
from torch.nn import functional

from core.config import FeatureConfig
from core.models.backbones import create_backbone
from core.models.base import Output, SpeciesModel, concatenate_parts
from core.models.pooling import AttentionHead
from experiments.htsat.config import HtsatConfig

PATCH_SIZE = 4
MAX_STAGES = 8


class HtsAt(SpeciesModel):
    """Folded pictures of log-mels, a Swin transformer, a head over the time of its tokens.

    The frames of a part are padded to a whole number of pictures, so that no length loses audio; segments
    that hold nothing but padding are dropped.

    Weights of `HTSAT_Swin_Transformer` fit one built with `HtsatConfig(image_frames=1024, num_folds=4,
    fit="stretch", drop_path=0.1, frequency_embedding=False)` (or the sizes of the recording: `image_frames`
    is the picture's side times the folds) and `FeatureConfig(n_fft=1024, hop_length=320, num_mels=64,
    mel_scale="slaney", mel_norm="slaney")`. The original's framewise output is the sigmoid of the segment
    logits, each repeated.
    """

    original_names: ClassVar = {
        "spectrogram_extractor.|logmel_extractor.|head.": None,  # derived, or never used there
        ".*(attn_mask|relative_position_index)$": None,
        "bn0.": "scaler.norm.",
        "tscam_conv.": "semantic.",
        # timm merges patches at the start of a stage, the original at the end of the one before
        **{
            rf"layers\.{stage}\.downsample\.": f"trunk.layers.{stage + 1}.downsample."
            for stage in range(MAX_STAGES)
        },
        "": "trunk.",
    }

    def __init__(self, config: HtsatConfig, features: FeatureConfig, num_species: int) -> None:
        super().__init__(features)
        self.config = config
        size = (config.num_folds * features.num_mels, config.image_frames // config.num_folds)
        self.trunk = _build_trunk(config, size)
        self.stride = PATCH_SIZE * 2 ** (len(self.trunk.layers) - 1)  # frames or mels of a last token
        _check_size(config, features, self.stride)
        self.bands: nn.Parameter | None = None
        if config.frequency_embedding:
            bands = torch.zeros(features.num_mels // PATCH_SIZE, 1, self.trunk.embed_dim)
            self.bands = nn.Parameter(nn.init.trunc_normal_(bands, std=0.5))
        self.semantic: nn.Module | None = None
        self.head: nn.Module | None = None
        channels = self.trunk.num_features
        if config.head == "token_semantic":
            kernel = (features.num_mels // self.stride, 3)
            self.semantic = nn.Conv2d(channels, num_species, kernel, padding=(0, 1))
        else:
            self.head = AttentionHead(channels, num_species, config.dropout)

    def classify(self, parts: Tensor) -> Output:
        """Return the logits from normalised log-mels (batch, part, 1, mel, frame)."""
        batch, num_parts, _, _, num_frames = parts.shape
        images = self.fit(parts.flatten(0, 1))
        num_images = images.shape[3] // self.config.image_frames
        images = images.unflatten(3, (num_images, -1)).permute(0, 3, 1, 2, 4).flatten(0, 1)
        tokens = self.tokens(_fold(images, self.config.num_folds))
        rows = _unfold(tokens, self.config.num_folds)  # (batch * part * image, channel, mel', time')
        segments = rows.mean(dim=2) if self.semantic is None else self.semantic(rows).squeeze(2).float()
        of_parts = concatenate_parts(segments, batch * num_parts)[:, :, : self._num_segments(num_frames)]
        segments = concatenate_parts(of_parts, batch)
        if self.head is None:
            clip_logit, segment_logit = segments.mean(dim=2), segments.transpose(1, 2)
        else:
            clip_logit, segment_logit = self.head(segments)
        return Output(clip_logit, segment_logit, num_parts * num_frames)

    def tokens(self, images: Tensor) -> Tensor:
        """Return the trunk's last tokens (batch, channel, mel', time') of folded pictures."""
        tokens = self.trunk.patch_embed(images)
        if self.bands is not None:
            tokens = tokens + self.bands.repeat(self.config.num_folds, 1, 1)
        return self.trunk.norm(self.trunk.layers(tokens)).permute(0, 3, 1, 2)

    def _num_segments(self, num_frames: int) -> int:
        """Return the segments of a part that hold some of its frames."""
        if self.config.fit == "stretch":
            return self.config.image_frames // self.stride
        return -(-num_frames // self.stride)

    def fit(self, parts: Tensor) -> Tensor:
        """Return (batch * part, 1, mel, frame) whose frames fill whole pictures."""
        size, frames = self.config.image_frames, parts.shape[3]
        if self.config.fit == "pad":
            return functional.pad(parts, (0, -frames % size, 0, 0), mode="replicate")
        if frames > size:
            message = (
                f"model.fit=stretch: a part of {frames} frames exceeds model.image_frames={size}; "
                "shorten data.part_seconds, or use --model.fit=pad"
            )
            raise ValueError(message)
        if frames == size:
            return parts
        stretched = functional.interpolate(
            parts.float(), (parts.shape[2], size), mode="bicubic", align_corners=True
        )
        return stretched.to(parts.dtype)

    def no_weight_decay(self) -> set[str]:
        """Return the names of the position tables."""
        tables = ("bands", "relative_position_bias_table")
        return {name for name, _ in self.named_parameters() if name.endswith(tables)}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Return timm's rule of which parameter belongs to which block, for `optim.layer_decay`."""
        rule = self.trunk.group_matcher(coarse)
        stem = r"^scaler\.|^bands|^trunk\." + str(rule["stem"]).removeprefix("^")
        blocks = [(rf"^trunk\.{str(p).removeprefix('^')}", order) for p, order in rule["blocks"]]
        return {"stem": stem, "blocks": blocks}


def _build_trunk(config: HtsatConfig, size: tuple[int, int]) -> SwinTransformer:
    """Return the transformer for pictures of `size`, (mels, frames)."""
    if config.backbone is not None:
        trunk = create_backbone(
            config.backbone,
            config.pretrained,
            drop_path=config.drop_path,
            img_size=size,
            window_size=config.window_size,
        )
        assert isinstance(trunk, SwinTransformer), f"model.backbone={config.backbone}: not a Swin transformer"
        return trunk
    return SwinTransformer(
        img_size=size,
        patch_size=PATCH_SIZE,
        in_chans=1,
        num_classes=0,
        global_pool="",
        embed_dim=config.embed_dim,
        depths=config.depths,
        num_heads=config.num_heads,
        window_size=config.window_size,
        drop_path_rate=config.drop_path,
    )


def _check_size(config: HtsatConfig, features: FeatureConfig, stride: int) -> None:
    """Raise `ValueError` unless mels and frames are multiples of `stride`, the size of a last token."""
    width = config.image_frames // config.num_folds
    for name, value in (
        ("features.num_mels", features.num_mels),
        ("model.image_frames / num_folds", width),
    ):
        if value % stride:
            message = f"{name}={value}: must be a multiple of {stride}, the size of a token of the last stage"
            raise ValueError(message)


def _fold(images: Tensor, number: int) -> Tensor:
    """Return (batch, 1, number * mel, frame / number): `number` stretches of time one above the other."""
    return images.unflatten(3, (number, -1)).transpose(2, 3).flatten(2, 3)


def _unfold(tokens: Tensor, number: int) -> Tensor:
    """Return (batch, channel, mel', number * time') from folded (batch, channel, number * mel', time')."""
    return tokens.unflatten(2, (number, -1)).transpose(2, 3).flatten(3)

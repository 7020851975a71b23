"""The published networks, computed step by step from weights under their original names.

Written from their descriptions, on torch's functions alone: an independent reading against which the modules
of this project are held, at sizes and in modes for which no recording of the original is at hand.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

Weights = dict[str, Tensor]


def make(generator: torch.Generator, shapes: dict[str, tuple[int, ...]]) -> Weights:
    """Return random weights; running variances are positive."""
    weights = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator) * (0.3 if len(shape) > 1 else 0.1)
        if name.endswith(("running_var", "norm.weight")) or (len(shape) == 1 and name.endswith("weight")):
            values = values.abs() + 0.7
        weights[name] = values
    return weights


def under(weights: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}


def norm_shapes(prefix: str, channels: int) -> dict[str, tuple[int, ...]]:
    return {f"{prefix}{end}": (channels,) for end in ("weight", "bias", "running_mean", "running_var")}


def batch_norm(x: Tensor, w: Weights, eps: float) -> Tensor:
    return functional.batch_norm(
        x, w["running_mean"], w["running_var"], w["weight"], w["bias"], training=False, eps=eps
    )


def layer_norm(x: Tensor, w: Weights) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], w["weight"], w["bias"])


def linear(x: Tensor, w: Weights) -> Tensor:
    return functional.linear(x, w["weight"], w.get("bias"))


# FDY-SED.


def crnn_shapes(
    filters: list[int], kernels: int, rnn: int, layers: int, classes: int, first_dynamic: int = 1
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    before = 1
    for i, after in enumerate(filters):
        conv = f"cnn.cnn.conv{i}."
        if i < first_dynamic:
            shapes |= {f"{conv}weight": (after, before, 3, 3), f"{conv}bias": (after,)}
        else:
            hidden = max(before // 4, 4)
            shapes |= {
                f"{conv}weight": (kernels, after, before, 3, 3),
                f"{conv}attention.conv1d1.weight": (hidden, before, 3),
                f"{conv}attention.conv1d2.weight": (kernels, hidden, 1),
                f"{conv}attention.conv1d2.bias": (kernels,),
            } | norm_shapes(f"{conv}attention.bn.", hidden)
        shapes |= norm_shapes(f"cnn.cnn.batchnorm{i}.", after)
        shapes |= {f"cnn.cnn.cg{i}.linear.weight": (after, after), f"cnn.cnn.cg{i}.linear.bias": (after,)}
        before = after
    for layer in range(layers):
        for end in ("", "_reverse"):
            width = before if layer == 0 else 2 * rnn
            shapes |= {
                f"rnn.rnn.weight_ih_l{layer}{end}": (3 * rnn, width),
                f"rnn.rnn.weight_hh_l{layer}{end}": (3 * rnn, rnn),
                f"rnn.rnn.bias_ih_l{layer}{end}": (3 * rnn,),
                f"rnn.rnn.bias_hh_l{layer}{end}": (3 * rnn,),
            }
    for name in ("dense", "dense_softmax"):
        shapes |= {f"{name}.weight": (classes, 2 * rnn), f"{name}.bias": (classes,)}
    return shapes


def dynamic_conv(x: Tensor, w: Weights, temperature: float) -> Tensor:
    kernels = len(w["weight"])
    hidden = functional.conv1d(x.mean(2), w["attention.conv1d1.weight"], padding=1)
    hidden = torch.relu(batch_norm(hidden, under(w, "attention.bn."), 1e-5))
    logits = functional.conv1d(hidden, w["attention.conv1d2.weight"], w["attention.conv1d2.bias"])
    shares = torch.softmax(logits / temperature, dim=1)
    outputs = [functional.conv2d(x, w["weight"][k], padding=1) for k in range(kernels)]
    return sum(shares[:, k, None, None, :] * outputs[k] for k in range(kernels))  # type: ignore[return-value]


def gru_direction(x: Tensor, w: Weights, end: str) -> Tensor:
    """One direction of one layer by the textbook's equations, (batch, time, width)."""
    steps = range(x.shape[1])
    hidden = x.new_zeros(len(x), w[f"weight_hh_{end}"].shape[1])
    outputs: dict[int, Tensor] = {}
    for step in reversed(steps) if end.endswith("reverse") else steps:
        given = functional.linear(x[:, step], w[f"weight_ih_{end}"], w[f"bias_ih_{end}"]).chunk(3, 1)
        kept = functional.linear(hidden, w[f"weight_hh_{end}"], w[f"bias_hh_{end}"]).chunk(3, 1)
        reset, update = torch.sigmoid(given[0] + kept[0]), torch.sigmoid(given[1] + kept[1])
        candidate = torch.tanh(given[2] + reset * kept[2])
        hidden = (1 - update) * candidate + update * hidden
        outputs[step] = hidden
    return torch.stack([outputs[step] for step in steps], dim=1)


def crnn(
    x: Tensor, w: Weights, pools: list[tuple[int, int]], layers: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """(batch, mel, frame) -> strong (batch, class, segment) and weak (batch, class) probabilities."""
    x = x.transpose(1, 2).unsqueeze(1)
    for i, pool in enumerate(pools):
        conv = under(w, f"cnn.cnn.conv{i}.")
        if conv["weight"].ndim == 5:
            x = dynamic_conv(x, conv, temperature)
        else:
            x = functional.conv2d(x, conv["weight"], conv["bias"], padding=1)
        x = batch_norm(x, under(w, f"cnn.cnn.batchnorm{i}."), 1e-3)
        gate = linear(x.permute(0, 2, 3, 1), under(w, f"cnn.cnn.cg{i}.linear.")).permute(0, 3, 1, 2)
        x = functional.avg_pool2d(x * torch.sigmoid(gate), pool)
    x = x.squeeze(3).transpose(1, 2)
    for layer in range(layers):
        x = torch.cat(
            [gru_direction(x, under(w, "rnn.rnn."), f"l{layer}{end}") for end in ("", "_reverse")], 2
        )
    strong = torch.sigmoid(linear(x, under(w, "dense.")))
    share = torch.softmax(linear(x, under(w, "dense_softmax.")), dim=-1).clamp(1e-7, 1)
    return strong.transpose(1, 2), (strong * share).sum(1) / share.sum(1)


# ConformerSED.


def conformer_shapes(
    filters: list[int],
    width: int,
    units: int,
    heads: int,
    kernel: int,
    blocks: int,
    classes: int,
    pooling: str,
) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    before = 1
    for i, after in enumerate(filters):
        shapes |= {f"cnn.cnn.conv{i}.weight": (after, before, 3, 3), f"cnn.cnn.conv{i}.bias": (after,)}
        shapes |= norm_shapes(f"cnn.cnn.batchnorm{i}.", after)
        before = after
    shapes |= {"encoder.input_layer.0.weight": (width, before), "encoder.input_layer.0.bias": (width,)}
    shapes |= {"encoder.input_layer.1.weight": (width,), "encoder.input_layer.1.bias": (width,)}
    for i in range(blocks):
        block = f"encoder.conformer_blocks.{i}."
        for ffn in ("ffn1", "ffn2"):
            inner = f"{block}{ffn}.feed_forward_module."
            shapes |= {f"{inner}0.weight": (width,), f"{inner}0.bias": (width,)}
            shapes |= {f"{inner}1.weight": (units, width), f"{inner}1.bias": (units,)}
            shapes |= {f"{inner}4.weight": (width, units), f"{inner}4.bias": (width,)}
        shapes |= {
            f"{block}mhsa.r_w_bias": (heads, width // heads),
            f"{block}mhsa.r_r_bias": (heads, width // heads),
            f"{block}mhsa.qkv_net.weight": (3 * width, width),
            f"{block}mhsa.o_net.weight": (width, width),
            f"{block}mhsa.layer_norm.weight": (width,),
            f"{block}mhsa.layer_norm.bias": (width,),
            f"{block}mhsa.pos_emb.inv_freq": (width // 2,),
            f"{block}mhsa.r_net.weight": (width, width),
            f"{block}conv.conv.0.weight": (width,),
            f"{block}conv.conv.0.bias": (width,),
            f"{block}conv.conv.1.conv.weight": (2 * width, width, 1),
            f"{block}conv.conv.1.conv.bias": (2 * width,),
            f"{block}conv.conv.3.conv.weight": (width, 1, kernel),
            f"{block}conv.conv.3.conv.bias": (width,),
            f"{block}conv.conv.8.conv.weight": (width, width, 1),
            f"{block}conv.conv.8.conv.bias": (width,),
            f"{block}norm.weight": (width,),
            f"{block}norm.bias": (width,),
        } | norm_shapes(f"{block}conv.conv.5.", width)
    shapes |= {"classifier.weight": (classes, width), "classifier.bias": (classes,)}
    if pooling == "attention":
        shapes |= {"dense.weight": (classes, width), "dense.bias": (classes,)}
    else:
        shapes |= {"linear_emb.weight": (before, 1), "linear_emb.bias": (before,)}
    return shapes


def relative_attention(x: Tensor, w: Weights) -> Tensor:
    """ConformerSED's, with its shift spelt out key by key; adds its input."""
    batch, length, width = x.shape
    heads, depth = w["r_w_bias"].shape
    normed = layer_norm(x, under(w, "layer_norm."))
    q, k, v = (
        part.view(batch, length, heads, depth) for part in linear(normed, under(w, "qkv_net.")).chunk(3, -1)
    )
    rates = 1 / (10000 ** (torch.arange(0, width, 2) / width))
    angles = torch.arange(length)[:, None] * rates
    table = linear(torch.cat([angles.sin(), angles.cos()], 1), under(w, "r_net.")).view(length, heads, depth)
    scores = torch.zeros(batch, heads, length, length)
    for i in range(length):
        for j in range(length):
            content = ((q[:, i] + w["r_w_bias"]) * k[:, j]).sum(-1)
            position = torch.zeros_like(content)
            if j <= i:
                position = ((q[:, i] + w["r_r_bias"]) * table[i - j]).sum(-1)
            elif j > i + 1:
                position = ((q[:, i + 1] + w["r_r_bias"]) * table[length + 1 - (j - i)]).sum(-1)
            scores[:, :, i, j] = (content + position) / math.sqrt(depth)
    mixed = torch.einsum("bhij,bjhd->bihd", torch.softmax(scores, -1), v).reshape(batch, length, width)
    return x + linear(mixed, under(w, "o_net."))


def conformer_block(x: Tensor, w: Weights) -> Tensor:
    def feed_forward(x: Tensor, w: Weights) -> Tensor:
        hidden = functional.silu(linear(layer_norm(x, under(w, "0.")), under(w, "1.")))
        return linear(hidden, under(w, "4."))

    x = x + 0.5 * feed_forward(x, under(w, "ffn1.feed_forward_module."))
    x = relative_attention(x, under(w, "mhsa."))
    c = under(w, "conv.conv.")
    y = layer_norm(x, under(c, "0.")).transpose(1, 2)
    y = functional.glu(functional.conv1d(y, c["1.conv.weight"], c["1.conv.bias"]), dim=1)
    kernel = c["3.conv.weight"].shape[-1]
    y = functional.conv1d(y, c["3.conv.weight"], c["3.conv.bias"], padding=kernel // 2, groups=y.shape[1])
    y = functional.silu(batch_norm(y, under(c, "5."), 1e-5))
    x = x + functional.conv1d(y, c["8.conv.weight"], c["8.conv.bias"]).transpose(1, 2)
    x = x + 0.5 * feed_forward(x, under(w, "ffn2.feed_forward_module."))
    return layer_norm(x, under(w, "norm."))


def conformer_sed(x: Tensor, w: Weights, pools: list[tuple[int, int]], blocks: int) -> tuple[Tensor, Tensor]:
    """(batch, 1, frame, mel) -> weak (batch, class) and strong (batch, segment, class) logits."""
    for i, pool in enumerate(pools):
        x = functional.conv2d(x, w[f"cnn.cnn.conv{i}.weight"], w[f"cnn.cnn.conv{i}.bias"], padding=1)
        x = torch.relu(batch_norm(x, under(w, f"cnn.cnn.batchnorm{i}."), 1e-3))
        x = functional.avg_pool2d(x, pool)
    x = x.squeeze(-1).transpose(1, 2)
    if "linear_emb.weight" in w:
        token = linear(torch.ones(len(x), 1, 1), under(w, "linear_emb."))
        x = torch.cat([token, x], dim=1)
    x = torch.relu(
        layer_norm(linear(x, under(w, "encoder.input_layer.0.")), under(w, "encoder.input_layer.1."))
    )
    width = x.shape[-1]
    angles = torch.arange(x.shape[1])[:, None] / (10000 ** (torch.arange(0, width, 2) / width))
    positions = torch.zeros(x.shape[1], width)
    positions[:, 0::2], positions[:, 1::2] = angles.sin(), angles.cos()
    x = x * math.sqrt(width) + positions
    for i in range(blocks):
        x = conformer_block(x, under(w, f"encoder.conformer_blocks.{i}."))
    logits = linear(x, under(w, "classifier."))
    if "linear_emb.weight" in w:
        return logits[:, 0], logits[:, 1:]
    share = torch.softmax(linear(x, under(w, "dense.")), dim=-1).clamp(1e-7, 1)
    weak = (torch.sigmoid(logits) * share).sum(1) / share.sum(1)
    return torch.log(weak / (1 - weak)), logits

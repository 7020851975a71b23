"""The experiments' networks against recordings of their originals, and an independent reading of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torch import Tensor
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from core.config import FeatureConfig, GemConfig, TimmConfig
from core.models import gem, sed
from core.models.base import SpeciesModel
from core.models.log_mel import cut_parts
from core.models.originals import load_renamed
from core.training.augment import Augmentation, Labelled, Mixing
from experiments.conformer import model as conformer
from experiments.conformer.attention import RelativeAttention
from experiments.conformer.config import ConformerConfig
from experiments.fdy import model as fdy
from experiments.fdy.config import FdyConfig
from experiments.htsat import model as htsat
from experiments.htsat.config import HtsatConfig
from experiments.nocall import model as nocall
from experiments.nocall.config import NocallConfig
from tests.conftest import FIXTURES, Reference
from tests.experiments import originals
from tests.experiments.originals import under
from tests.runs import BACKBONE as TINY

WHOLE, BLOCK = 2e-5, 1e-5  # absolute tolerances


def close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(found.detach(), expected, atol=tolerance, rtol=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def no_dropout(model: torch.nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0


# FDY-SED.


@pytest.mark.parametrize(("temperature", "suffix"), [(31.0, ""), (1.0, "_T1")])
def test_parity_of_the_dynamic_convolution(reference: Reference, temperature: float, suffix: str) -> None:
    arrays = reference("fdy_dynconv")
    layer = fdy.FrequencyDynamicConv(8, 16, 4, temperature).eval()
    names = {rf"attention\.{theirs}\.": f"attention.{own}." for theirs, own in fdy.DYNAMIC_NAMES.items()}
    weights = under(arrays, "sd/")
    weights["weight"] = weights["weight"].flatten(0, 1)
    load_renamed(layer, weights, names, "temperature")
    close(layer.shares(arrays["x"]), arrays[f"out_attention{suffix}"], BLOCK)
    close(layer(arrays["x"]), arrays[f"out{suffix}"], BLOCK)


def test_parity_of_the_whole_crnn() -> None:
    filters, pools = (8, 12, 16, 16, 16, 16, 16), FdyConfig().pool_sizes
    config = FdyConfig(
        filters=filters, rnn_width=10, rnn_layers=2, head="class_attention", dropout=0.5, temperature=31
    )
    model = fdy.FdyCrnn(config, FeatureConfig(scale="affine"), 7).eval()
    shapes = originals.crnn_shapes(list(filters), 4, 10, 2, 7)
    weights = originals.make(seeded(), shapes)
    model.load_original(weights)
    mels = torch.randn(3, 128, 52, generator=seeded(1))
    strong, weak = originals.crnn(mels, weights, list(pools), 2, 31.0)
    output = model.classify(mels[:, None, None])
    close(torch.sigmoid(output.segment_logit).transpose(1, 2), strong, WHOLE)
    close(torch.sigmoid(output.clip_logit), weak, WHOLE)


# ConformerSED.


def conformer_config(arrays_config: dict[str, int]) -> ConformerConfig:
    return ConformerConfig(
        width=arrays_config["width"],
        feed_forward=arrays_config["units"],
        num_heads=arrays_config["heads"],
        kernel_size=7,
        num_blocks=arrays_config["blocks"],
        attention="relative_causal",
    )


def test_parity_of_a_conformer_block(reference: Reference) -> None:
    arrays = reference("conformersed_block")
    block = conformer.build_block(
        conformer_config({"width": 16, "units": 64, "heads": 4, "blocks": 1})
    ).eval()
    load_renamed(block, under(arrays, "sd/"), conformer.BLOCK_NAMES)
    x = arrays["x"]
    close(block.ffn1(x), arrays["out_ffn1"], BLOCK)
    normed = block.self_attn_layer_norm(x).transpose(0, 1)
    close(x + block.self_attn(normed, normed, normed)[0].transpose(0, 1), arrays["out_mhsa"], BLOCK)
    close(block.conv_module(x), arrays["out_conv"], BLOCK)
    close(block(x.transpose(0, 1), None).transpose(0, 1), arrays["out"], BLOCK)


def test_parity_of_the_conformer_encoder(reference: Reference) -> None:
    arrays = reference("conformersed_encoder")
    config = conformer_config({"width": 16, "units": 64, "heads": 4, "blocks": 2})
    encoder = conformer.ConformerEncoder(config, 12).eval()
    load_renamed(encoder, under(arrays, "sd/"), conformer.ENCODER_NAMES)
    close(encoder.embed(arrays["x"]), arrays["out_input_layer"], BLOCK)
    close(encoder(arrays["x"]), arrays["out"], BLOCK)


@pytest.mark.parametrize("pooling", ["attention", "token"])
def test_parity_of_the_whole_conformer(pooling: str) -> None:
    filters = (6, 8, 12, 12, 12, 12, 12)
    pools = ((2, 2), (2, 2), (2, 2), (1, 2), (1, 2), (1, 2), (1, 1))
    config = replace(
        conformer_config({"width": 16, "units": 24, "heads": 4, "blocks": 2}),
        filters=filters,
        pool_sizes=pools,
        head="token" if pooling == "token" else "class_attention",
    )
    model = conformer.ConformerSED(config, FeatureConfig(num_mels=64), 9).eval()
    shapes = originals.conformer_shapes(list(filters), 16, 24, 4, 7, 2, 9, pooling)
    weights = originals.make(seeded(), shapes)
    model.load_original(weights)
    mels = torch.randn(2, 1, 88, 64, generator=seeded(1))
    weak, strong = originals.conformer_sed(mels, weights, list(pools), 2)
    output = model.classify(mels.transpose(2, 3)[:, None])
    close(output.segment_logit, strong, WHOLE)
    close(output.clip_logit, weak, WHOLE)


def test_two_sided_attention_scores_every_pair_by_its_own_distance() -> None:
    attention = RelativeAttention(8, 2)
    torch.nn.init.normal_(attention.position_bias)
    x = torch.randn(6, 1, 8, generator=seeded())
    found, _ = attention(x, x, x)
    close(found, spelt_out(attention, x).detach(), 1e-6)


def spelt_out(attention: RelativeAttention, x: Tensor) -> Tensor:
    length, _, width = x.shape
    q, k, v = attention.query_key_value(x[:, 0]).unflatten(-1, (3, 2, -1)).unbind(1)
    rates = 10000.0 ** (-torch.arange(0, width, 2) / width)
    scores = torch.zeros(2, length, length)
    for i in range(length):
        for j in range(length):
            angles = (i - j) * rates
            table = attention.position(torch.cat([angles.sin(), angles.cos()])).view(2, -1)
            content = (q[i] + attention.content_bias) * k[j] + (q[i] + attention.position_bias) * table
            scores[:, i, j] = content.sum(-1) / (width / 2) ** 0.5
    mixed = torch.einsum("hij,jhd->ihd", torch.softmax(scores, -1), v).reshape(length, 1, width)
    return attention.output(mixed)


# HTS-AT.


@pytest.mark.parametrize(("name", "shift"), [("noshift", 0), ("shift", 4)])
def test_parity_of_a_swin_block(reference: Reference, name: str, shift: int) -> None:
    arrays = reference("htsat_swin_block")
    block = SwinTransformerBlock(16, (16, 16), num_heads=2, window_size=8, shift_size=shift).eval()
    block.load_state_dict(under(arrays, f"sd_{name}/"))
    found = block(arrays["x"].unflatten(1, (16, 16))).flatten(1, 2)
    close(found, arrays[f"out_{name}"], BLOCK)


def test_parity_of_patch_merging(reference: Reference) -> None:
    arrays = reference("htsat_swin_block")
    merging = PatchMerging(16).eval()
    merging.load_state_dict(under(arrays, "sd_merge/"))
    close(merging(arrays["x"].unflatten(1, (16, 16))).flatten(1, 2), arrays["out_merge"], BLOCK)


def htsat_under_original_names(model: htsat.HtsAt) -> dict[str, Tensor]:
    weights = {}
    for name, value in model.state_dict().items():
        own = name.removeprefix("trunk.").replace("scaler.norm.", "bn0.").replace("semantic.", "tscam_conv.")
        if ".downsample." in own:
            stage = int(own.split(".")[1])
            own = own.replace(f"layers.{stage}.", f"layers.{stage - 1}.")
        weights[own] = value
    unused = {"head.weight": torch.zeros(5, 5), "spectrogram_extractor.stft.conv_real.weight": torch.zeros(1)}
    return weights | unused | {"layers.0.blocks.1.attn_mask": torch.zeros(1)}


def test_parity_of_fold_head_and_names_of_htsat() -> None:
    """The trunk is timm's, held to the recording above; around it, index by index as described."""
    config = HtsatConfig(
        embed_dim=8, depths=(2, 2, 2), num_heads=(2, 4, 4), window_size=4, image_frames=256, num_folds=4,
        fit="stretch", drop_path=0.0, frequency_embedding=False,
    )  # fmt: skip
    features = FeatureConfig(num_mels=16)
    source = htsat.HtsAt(config, features, 5).eval()
    for parameter in source.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=seeded(parameter.numel()))
    model = htsat.HtsAt(config, features, 5).eval()
    model.load_original(htsat_under_original_names(source))
    mels = torch.randn(2, 1, 1, 16, 200, generator=seeded())
    x = functional.interpolate(mels[:, 0].transpose(2, 3), (256, 16), mode="bicubic", align_corners=True)
    picture = torch.zeros(2, 1, 64, 64)
    for r in range(4):
        for f in range(16):
            picture[:, 0, r * 16 + f] = x[:, 0, r * 64 : (r + 1) * 64, f]
    tokens = source.trunk.forward_features(picture).permute(0, 3, 1, 2)  # 4 rows: 4 stretches of 1 cell
    rows = torch.cat([tokens[:, :, r : r + 1] for r in range(4)], dim=3)
    assert source.semantic is not None
    segments = functional.conv2d(
        rows, source.semantic.get_parameter("weight"), source.semantic.get_parameter("bias"), padding=(0, 1)
    ).squeeze(2)
    output = model.classify(mels)
    close(output.segment_logit, segments.transpose(1, 2).detach(), WHOLE)
    close(output.clip_logit, segments.mean(2).detach(), WHOLE)


# The part model in training, and ps_model_9 in both modes.


def train_step_of_the_original(
    model: SpeciesModel, wave: Tensor, num_parts: int, mixings: list[tuple[Mixing, bool]], num_main: int
) -> Tensor:
    """Waves -> mixed normalised log-mels (num_main, part, 1, mel, frame), with views as the original's."""
    mels = model.scaler(model.front_end(cut_parts(wave, num_parts)))  # (batch * part, 1, mel, frame)
    x = mels.transpose(2, 3).permute(0, 2, 1, 3)  # (batch * part, frame, 1, mel)
    parts, frames, _, num_mels = x.shape
    x = x.reshape(parts // num_parts, num_parts * frames, 1, num_mels)
    main, scored = x[:num_main], x[num_main:]
    for mixing, selective in mixings:
        share = mixing.share.view(-1, 1, 1, 1)
        main = share * main + (1 - share) * (scored if selective else main)[mixing.partner]
    return main.reshape(num_main * num_parts, frames, 1, num_mels).permute(0, 2, 3, 1)


def test_parity_of_a_training_step_of_the_part_model(reference: Reference) -> None:
    arrays = reference("part_sed_eval_tiny")
    features = FeatureConfig(n_fft=1024, hop_length=320, num_mels=64)
    model = sed.TimmSED(TimmConfig(backbone=TINY, pretrained=False, pool_axis="source"), features, 12)
    model.load_original(under(arrays, "sd/"))
    no_dropout(model)
    model.train()
    wave = torch.randn(6, 48000, generator=seeded()) * 0.1
    selective = Mixing(torch.tensor([2, 0, 1]), torch.tensor([0.3, 0.8, 0.5]))
    ordinary = Mixing(torch.tensor([1, 2, 0]), torch.tensor([0.6, 0.1, 0.9]))
    images = train_step_of_the_original(model, wave, 2, [(selective, True), (ordinary, False)], 3)
    maps = model.backbone.forward_features(images)  # type: ignore[operator]
    cells = maps.mean(3).reshape(3, 2, 256, -1).permute(0, 2, 1, 3).reshape(3, 256, -1)
    expected, _ = model.head(cells)
    augmentation = Augmentation(3, selective, [ordinary])
    close(model(wave, 2, augmentation).clip_logit, expected.detach(), WHOLE)
    labels = Labelled(torch.eye(6, 12), torch.ones(6, 12), torch.arange(1.0, 7.0))
    mixed = augmentation.mix_labels(labels)
    first = selective.share[:, None] * torch.eye(6, 12)[:3]
    first = first + (1 - selective.share[:, None]) * torch.eye(6, 12)[3:][selective.partner]
    second = ordinary.share[:, None] * first + (1 - ordinary.share[:, None]) * first[ordinary.partner]
    close(mixed.target, second, 1e-7)


def gem_net() -> gem.GemNet:
    features = FeatureConfig(n_fft=1024, hop_length=320, num_mels=64, scale="affine")
    model = gem.GemNet(GemConfig(backbone=TINY, pretrained=False), features, 11)
    weights = model.state_dict()
    renamed = {name.replace("pool.exponent", "global_pool.p"): value for name, value in weights.items()}
    renamed["global_pool.p"] = torch.tensor([2.6])
    model.load_original(renamed | {"mel_spec.mel_scale.fb": torch.zeros(1)})
    return model


def gem_of(maps: Tensor, exponent: float) -> Tensor:
    return maps.clamp(min=1e-6).pow(exponent).mean((2, 3)).pow(1 / exponent)


def test_parity_of_ps_model_9_in_evaluation() -> None:
    model = gem_net().eval()
    parts = torch.randn(4, 24000, generator=seeded()) * 0.1
    mels = (model.front_end(parts) + 80) / 80
    maps = model.backbone.forward_features(mels.transpose(2, 3))  # type: ignore[operator]
    close(model(parts, 1).clip_logit, model.head(gem_of(maps, 2.6)).detach(), WHOLE)


def test_parity_of_ps_model_9_in_training() -> None:
    model = gem_net().train()
    wave = torch.randn(3, 3 * 24000, generator=seeded()) * 0.1
    mixings = [
        Mixing(torch.tensor([2, 0, 1]), torch.tensor([0.3, 0.8, 0.5])),
        Mixing(torch.tensor([1, 0, 2]), torch.tensor([0.9, 0.2, 0.4])),
    ]
    images = train_step_of_the_original(model, wave, 3, [(mixing, False) for mixing in mixings], 3)
    maps = model.backbone.forward_features(images.transpose(2, 3))  # type: ignore[operator]
    _, channels, time, mels = maps.shape
    joined = maps.permute(0, 2, 1, 3).reshape(3, 3 * time, channels, mels).permute(0, 2, 1, 3)
    expected = model.head(gem_of(joined, 2.6)).detach()
    close(model(wave, 3, Augmentation(3, None, mixings)).clip_logit, expected, WHOLE)


# The binary network.


def test_parity_of_the_nocall_network(reference: Reference) -> None:
    arrays = reference("henkel_binary_tiny")
    meta = json.loads(str(np.load(FIXTURES / "henkel_binary_tiny.npz")["meta"]))["config"]
    features = FeatureConfig(
        n_fft=meta["n_fft"], hop_length=meta["hop"], num_mels=meta["mel"], f_min_hz=meta["fmin"],
        f_max_hz=16000.0, scale="instance",
    )  # fmt: skip
    model = nocall.NocallNet(NocallConfig(backbone=TINY, pretrained=False), features, 1).eval()
    model.load_original(under(arrays, "sd/"))
    # its filters end above half the sample rate, and its 80 dB lie below the loudest of the whole batch
    model.front_end.set_filters(melscale_fbanks(1025, meta["fmin"], meta["fmax"], meta["mel"], 32000).T)
    mels = model.front_end(arrays["x"][0])
    mels = torch.maximum(mels, mels.amax() - meta["top_db"])
    output = model.from_mels((mels + 80) / 80)
    close(torch.sigmoid(output.clip_logit), arrays["out_prob"], WHOLE)

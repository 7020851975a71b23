"""The part model against recordings of the original, and its own promises."""

from pathlib import Path

import pytest
import torch

from core.config import FeatureConfig, TimmConfig
from core.models.base import concatenate_parts, stretch_segments
from core.models.pooling import AttentionPool, GeM
from core.models.sed import TimmSED
from core.training.augment import Mixing
from tests.conftest import Reference
from tests.experiments.originals import under
from tests.runs import BACKBONE as TINY

FEATURES = FeatureConfig(n_fft=1024, hop_length=320, num_mels=64)


@pytest.fixture
def original(reference: Reference) -> tuple[TimmSED, dict[str, torch.Tensor]]:
    arrays = reference("part_sed_eval_tiny")
    model = TimmSED(TimmConfig(backbone=TINY, pretrained=False, pool_axis="source"), FEATURES, 12)
    model.load_original(under(arrays, "sd/"))
    return model.eval(), arrays


def test_parity_of_the_whole_part_model(original: tuple[TimmSED, dict[str, torch.Tensor]]) -> None:
    model, arrays = original
    output = model(arrays["x"], num_parts=2)
    torch.testing.assert_close(output.clip_logit, arrays["out_logit"], atol=2e-5, rtol=0)
    # the original stretches to the frames of one part, recorded every 16th
    frames = stretch_segments(output.segment_logit, 76)[:, ::16]
    torch.testing.assert_close(frames, arrays["out_frame_logit"], atol=2e-5, rtol=0)


def test_parity_of_the_attention_pool(reference: Reference) -> None:
    arrays = reference("att_block_v2")
    pool = AttentionPool(32, 10)
    names = {"att": "attention", "cla": "classifier"}
    state = {
        f"{names[name.split('.')[0]]}.{name.split('.')[1]}": array
        for name, array in under(arrays, "sd/").items()
    }
    pool.load_state_dict(state)
    clip, segments = pool(arrays["x"])
    torch.testing.assert_close(clip, arrays["out_logit"], atol=1e-5, rtol=0)
    torch.testing.assert_close(segments.transpose(1, 2), arrays["out_cla"], atol=1e-5, rtol=0)
    frames = stretch_segments(segments, 47)
    torch.testing.assert_close(frames, arrays["out_frame_logit"], atol=1e-5, rtol=0)


def test_parity_of_gem(reference: Reference) -> None:
    arrays = reference("gem")
    for exponent, name in ((3.0, "out_p3"), (2.7, "out_p2_7")):
        pool = GeM(exponent)
        pooled = pool.root(pool.powers(arrays["x"]).mean(dim=(-2, -1), keepdim=True))
        torch.testing.assert_close(pooled, arrays[name], atol=1e-6, rtol=0)


def test_load_original_refuses_a_missing_tensor(original: tuple[TimmSED, dict[str, torch.Tensor]]) -> None:
    model, arrays = original
    weights = under(arrays, "sd/")
    del weights["fc1.weight"]
    with pytest.raises(RuntimeError, match=r"head\.hidden\.weight"):
        model.load_original(weights)


def test_time_axis_localises_a_sound_in_its_part() -> None:
    torch.manual_seed(0)
    model = TimmSED(TimmConfig(backbone=TINY, pretrained=False), FEATURES, 3).eval()
    wave = torch.zeros(1, 3 * 32000)
    changed = wave.clone()
    changed[0, 35000:60000] = 0.1 * torch.randn(25000)
    difference = (model(wave, 3).segment_logit - model(changed, 3).segment_logit).abs().sum(dim=2)[0]
    per_part = difference.reshape(3, -1).sum(dim=1)
    assert per_part[1] > 5 * per_part[0]  # not 0: the head smooths over three segments, and parts touch
    assert per_part[1] > 5 * per_part[2]


def test_frames_cover_all_parts_and_have_times() -> None:
    model = TimmSED(TimmConfig(backbone=TINY, pretrained=False), FEATURES, 3).eval()
    output = model(torch.randn(2, 2 * 32000), num_parts=2)
    assert output.frame_logit.shape == (2, 202, 3)
    times = output.segment_times(clip_seconds=2.0)
    assert len(times) == output.segment_logit.shape[1]
    assert 0 < times[0] < times[-1] < 2.0


def test_parts_are_concatenated_in_order() -> None:
    segments = torch.arange(2 * 3 * 1 * 4).reshape(6, 1, 4)  # 2 clips of 3 parts of 4 segments
    joined = concatenate_parts(segments, batch=2)
    assert joined[0, 0].tolist() == list(range(12))
    assert joined[1, 0].tolist() == list(range(12, 24))


def test_augment_may_halve_the_batch() -> None:
    model = TimmSED(TimmConfig(backbone=TINY, pretrained=False), FEATURES, 3)
    mixing = Mixing(torch.tensor([1, 0]), torch.tensor([0.3, 0.6]))
    output = model(torch.randn(4, 32000), 1, lambda parts: mixing.mix(parts[:2], parts[2:]))
    assert output.clip_logit.shape == (2, 3)


def test_a_clip_that_is_no_multiple_of_its_parts_is_refused() -> None:
    model = TimmSED(TimmConfig(backbone=TINY, pretrained=False), FEATURES, 3)
    with pytest.raises(ValueError, match="cannot be cut into 3"):
        model(torch.zeros(1, 32000), num_parts=3)


@pytest.mark.parametrize("backbone", ["resnet10t", "mobilenetv4_conv_small", "test_nfnet", "test_convnext"])
def test_other_backbones_fit(backbone: str, tmp_path: Path) -> None:
    model = TimmSED(TimmConfig(backbone=backbone, pretrained=False), FEATURES, 3)
    assert model(torch.randn(1, 64000), 2).clip_logit.shape == (1, 3)


def test_a_backbone_of_tokens_is_refused_with_the_field() -> None:
    model = TimmSED(TimmConfig(backbone="test_vit", pretrained=False), FeatureConfig(), 3)
    with pytest.raises(ValueError, match=r"model\.backbone: VisionTransformer"):
        model(torch.randn(1, 160000))

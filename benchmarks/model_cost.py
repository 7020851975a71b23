"""How large are the networks, and what do 30 s of audio cost? Beside their published originals.

    python -m benchmarks.model_cost

Parameters in millions and floating-point operations (2 per multiply-add; convolutions and matrix products,
the mel matrix included, of ours the bins that a group of filters reaches, 0.1 to 0.9 GFLOP less than the
whole; not the FFT, the GRU and element-wise work), counted by torch for one item of 30 s and 152 species.
Prints our default and, where it differs, the configuration that repeats the original; the originals' numbers
were counted in the same way by running their code.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from core.config import FeatureConfig, GemConfig, TimmConfig
from core.models.base import SpeciesModel
from core.models.gem import GemNet
from core.models.sed import TimmSED
from experiments.birdclef2021.config import CONFIG as GEM
from experiments.conformer.config import CONFIG as CONFORMER
from experiments.conformer.config import ConformerConfig
from experiments.conformer.model import ConformerSED
from experiments.fdy.config import CONFIG as FDY
from experiments.fdy.config import FdyConfig
from experiments.fdy.model import FdyCrnn
from experiments.htsat.config import CONFIG as HTSAT
from experiments.htsat.config import HtsatConfig
from experiments.htsat.model import HtsAt
from experiments.nocall.config import CONFIG as NOCALL
from experiments.nocall.config import NocallConfig
from experiments.nocall.model import NocallNet

COSTED_SPECIES, COSTED_SECONDS = 152, 30


@dataclass(frozen=True)
class Row:
    """A network, how 30 s go through it, and its original's parameters (M) and GFLOP."""

    name: str
    build: Callable[[], SpeciesModel]
    num_clips: int
    num_parts: int
    original: tuple[float, float]
    difference: str


def rows() -> list[Row]:
    """Return what is compared."""
    front = FeatureConfig()
    slaney = replace(HTSAT.features, mel_scale="slaney", mel_norm="slaney")
    fdy, conformer, htsat = FdyConfig(), ConformerConfig(attention="relative_causal"), HtsatConfig()
    whole = replace(htsat, image_frames=1024, num_folds=4, fit="stretch", frequency_embedding=False)

    def of(
        network: Any, model: Any, features: FeatureConfig, species: int = COSTED_SPECIES
    ) -> Callable[[], Any]:
        return lambda: network(model, features, species)

    b0 = TimmConfig(pretrained=False)
    nfnet = replace(b0, backbone="eca_nfnet_l0")
    source = replace(b0, pool_axis="source")
    gem, nocall = GemConfig(pretrained=False), NocallConfig(pretrained=False)
    weak = replace(fdy, head="class_attention")
    token, attention = replace(conformer, head="token"), replace(conformer, head="class_attention")
    head = "the head works on 60 segments of time"
    return [
        Row("timm_007", of(TimmSED, b0, front), 1, 6, (6.036, 4.28), f"{head}, not 24 of frequency"),
        Row("timm_007, source", of(TimmSED, source, front), 1, 6, (6.036, 4.28), "-"),
        Row(
            "timm_008", of(TimmSED, nfnet, front), 1, 6, (27.850, 42.2),
            f"{head}, not 24 of frequency",
        ),
        Row(
            "conformer", of(ConformerSED, CONFORMER.model, CONFORMER.features), 1, 6, (2.112, 3.91),
            "torchaudio's attention instead of a relative one; the shared head",
        ),
        Row("conformer, source, token", of(ConformerSED, token, front), 1, 6, (2.091, 3.92), "-"),
        Row("conformer, source, attention", of(ConformerSED, attention, front), 1, 6, (2.112, 3.91), "-"),
        Row(
            "fdy", of(FdyCrnn, FDY.model, FDY.features), 1, 6, (11.207, 71.8),
            "the shared head's square layer; the mel matrix is counted",
        ),
        Row(
            "fdy, source", of(FdyCrnn, weak, front), 1, 1, (11.207, 71.8),
            "the mel matrix is counted, the original was given mels",
        ),
        Row(
            "htsat", of(HtsAt, HTSAT.model, HTSAT.features), 1, 6, (29.342, 42.1),
            "no unused head (0.02 M); FFT instead of frozen convolutions (1.08 M, 6.3 GFLOP)",
        ),
        Row("htsat, source", of(HtsAt, whole, slaney), 3, 1, (29.342, 42.1), "the same; 3 x 10 s"),
        Row(
            "birdclef2021", of(GemNet, gem, GEM.features), 1, 6, (22.189, 66.4),
            "the head runs on segments too",
        ),
        Row(
            "nocall", of(NocallNet, nocall, NOCALL.features, 1), 1, 3, (4.665, 8.43),
            "3 parts of 10 s, not 6 of 5 s: fewer frames at the edges",
        ),
        Row("nocall, source", of(NocallNet, nocall, NOCALL.features, 1), 6, 1, (4.665, 8.43), "-"),
    ]  # fmt: skip


def cost(row: Row) -> tuple[float, float]:
    """Return millions of parameters, and GFLOP for 30 s."""
    model = row.build().eval()
    wave = torch.zeros(row.num_clips, COSTED_SECONDS // row.num_clips * model.front_end.config.sample_rate)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(wave, row.num_parts)
    return sum(p.numel() for p in model.parameters()) / 1e6, counter.get_total_flops() / 1e9


def main() -> None:
    """Print the table."""
    print(f"torch {torch.__version__}, {COSTED_SPECIES} species, {COSTED_SECONDS} s of audio\n")
    print(f"{'network':30} {'M params':>9} {'original':>9} {'GFLOP':>8} {'original':>9}  difference")
    for row in rows():
        parameters, operations = cost(row)
        print(
            f"{row.name:30} {parameters:9.3f} {row.original[0]:9.3f} {operations:8.2f} "
            f"{row.original[1]:9.2f}  {row.difference}"
        )
    print("\nAll of ours: a mel filter meets only the bins that its group reaches, 0.1 to 0.9 GFLOP less.")


if __name__ == "__main__":
    main()

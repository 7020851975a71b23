"""Write an ensemble for every engine, and say with a parity report which of them may be used.

An export is a folder: `ensemble.json` (members, weights, context, parity, the engine chosen), and a folder
per member with its checkpoint, `network.onnx` (log-mels in, logits out), `network_int8.xml` where wished,
and `whole.onnx` (waves in) where wished.
"""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from core import checkpoint
from core.config import require
from core.config_values import require_types
from core.files import read_json, replacing, write_atomically
from core.inference.config import Backend, ExportConfig
from core.inference.engines.backends import INT8_FILE, ONNX_FILE, import_package
from core.inference.engines.parity import Windows, measure_engines, read_windows, report_parity
from core.inference.ensemble import Ensemble, Member, load_ensemble
from core.machine import tune_cpu
from core.models.base import SpeciesModel
from core.models.folding import folded

EXPORT_FORMAT = 1
MANIFEST, WHOLE_FILE = "ensemble.json", "whole.onnx"
_ENTRIES = {"format": int, "context": int, "species": list[str], "weights": list[float], "backend": Backend}
"""Types of the entries of `MANIFEST` that are needed."""
MAX_CLIPS = 4096
CALIBRATION_WINDOWS = 256


class MelNetwork(nn.Module):
    """A network on log-mels with plain tensors as output, for tracing."""

    def __init__(self, model: SpeciesModel, num_parts: int) -> None:
        super().__init__()
        self.model, self.num_parts = model, num_parts

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and segment logits."""
        output = self.model.from_mels(mels, self.num_parts)
        return output.clip_logit, output.segment_logit


class _WholeNetwork(MelNetwork):
    """The same on waves (clip * part, sample), front end included."""

    def forward(self, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Return clip and segment logits."""
        return super().forward(self.model.front_end(waves))


def export(config: ExportConfig) -> Path:
    """Write an ensemble for the wanted engines, measure parity, print the report; return the folder.

    Raises
    ------
    ValueError
        If checkpoints or soundscapes do not fit, or the folder exists and is no export.
    """
    tune_cpu()
    out = Path(config.out)
    if out.exists() and not (out / MANIFEST).is_file() and (not out.is_dir() or any(out.iterdir())):
        message = f"out={out}: exists and is no export; name another folder"
        raise ValueError(message)
    ensemble = load_ensemble(config.checkpoints, weights=config.weights, which=config.which)
    windows = read_windows(config, ensemble)
    (out / MANIFEST).unlink(missing_ok=True)
    for i, member in enumerate(ensemble.members):
        _write_member(member, out / f"member{i}", config, windows)
        print(f"member {i}: {member.card.experiment}, fold {member.card.fold}", flush=True)
    manifest = {
        "format": EXPORT_FORMAT,
        "context": config.context,
        "species": ensemble.species,
        "weights": [member.weight for member in ensemble.members],
    }
    rows = measure_engines(ensemble, out, config.backends, config.context, windows)
    write_atomically(out / MANIFEST, json.dumps(manifest | report_parity(rows), indent=2, default=str))
    print(f"{out}: made", flush=True)
    return out


def _write_member(member: Member, folder: Path, config: ExportConfig, windows: Windows) -> None:
    """Write one member's checkpoint and its network for every engine, in the place of an older one."""
    shutil.rmtree(folder, ignore_errors=True)
    checkpoint.copy_weights(member.folder, folder)
    model = folded(member.model)
    waves = windows.waves[member.window_format]
    needs_file = any(not backend.startswith("torch") for backend in config.backends)
    if needs_file:
        with torch.no_grad():
            mels = model.front_end(waves[: 2 * config.context])
        write_onnx(MelNetwork(model, config.context), mels, "mels", folder / ONNX_FILE)
    if config.whole:
        example = waves[: 2 * config.context]
        write_onnx(_WholeNetwork(model, config.context), example, "waves", folder / WHOLE_FILE)
    if "openvino_int8" in config.backends:
        _write_int8(model, waves, folder, config.context)


def write_onnx(network: MelNetwork, example: Tensor, name: str, file: Path) -> None:
    """Write a network as ONNX for any number of clips.

    Parameters
    ----------
    network
        On log-mels or on waves.
    example
        An input of two clips.
    name
        Of the input in the file.
    file
        It appears whole.

    Raises
    ------
    BackendError
        If onnxscript is not installed.
    """
    import_package("onnxscript")
    clips = torch.export.Dim("clips", min=1, max=MAX_CLIPS)
    batch: Any = clips if network.num_parts == 1 else network.num_parts * clips
    with replacing(file) as new, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own
        torch.onnx.export(
            network.eval(),
            (example,),
            str(new),
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=[name],
            output_names=["clip_logit", "segment_logit"],
            dynamic_shapes={name: {0: batch}},
        )


def _write_int8(model: SpeciesModel, waves: Tensor, folder: Path, context: int) -> None:
    """Quantise a folded network to int8, calibrated on (window, sample) waves; `folder` holds its ONNX."""
    nncf, openvino = import_package("nncf"), import_package("openvino")
    nncf.set_log_level(40)
    clips = waves.unflatten(0, (-1, context))  # (clip, window, sample)
    number = min(max(CALIBRATION_WINDOWS // context, 1), len(clips))
    chosen = np.linspace(0, len(clips) - 1, number).round().astype(int)
    with torch.no_grad():
        mels = [model.front_end(clips[i]).numpy() for i in chosen]
    network = openvino.Core().read_model(str(folder / ONNX_FILE))
    quantised = nncf.quantize(network, nncf.Dataset(mels), subset_size=number)
    openvino.save_model(quantised, str(folder / INT8_FILE), compress_to_fp16=False)


def open_export(
    folder: Path, combine: str = "mean", species: Literal["all"] | None = None
) -> tuple[Ensemble, dict[str, Any]]:
    """Return the ensemble of an export, networks as they were trained, and its manifest.

    Parameters
    ----------
    folder
        The export.
    combine
        See `Ensemble`.
    species
        "all": every trained species; None: those of the ensemble that was exported.

    Raises
    ------
    CheckpointError
        If it is none, or torn.
    """
    with checkpoint.refusing(f"{folder}: no export of `python -m core.inference export`"):
        manifest = read_json(folder / MANIFEST)
        missing = ", ".join(sorted(_ENTRIES.keys() - manifest.keys()))
        require(not missing, f"{MANIFEST} lacks {missing}")
        require_types(f"{MANIFEST}: ", manifest, _ENTRIES)
        require(bool(manifest["weights"] and manifest["species"]), f"{MANIFEST}: no weights or no species")
        number = manifest["format"]
        require(number == EXPORT_FORMAT, f"export format {number}, this code reads {EXPORT_FORMAT}")
    members = [folder / f"member{i}" for i in range(len(manifest["weights"]))]
    wanted = species or manifest["species"]
    return load_ensemble(members, weights=manifest["weights"], combine=combine, species=wanted), manifest

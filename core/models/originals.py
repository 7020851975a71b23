"""Loading weights that carry the names of an original implementation."""

import re
from collections.abc import Mapping

from torch import Tensor, nn

Names = Mapping[str, str | None]
"""Pattern at the start of an original's name -> ours in its place; None: a tensor without a counterpart."""
FRONT_END: Names = dict.fromkeys(("mel_spec.", "amplitude_to_db.", "wav2img."))
"""torchaudio's buffers: ours follow from the configuration."""


def load_renamed(model: nn.Module, weights: Mapping[str, Tensor], names: Names, kept: str = "") -> None:
    r"""Load `weights` into `model` after renaming.

    Parameters
    ----------
    model
        To load into.
    weights
        Tensors under the original's names; counters of batches may be missing.
    names
        The first pattern that a name matches renames it; any other name stays as it is.
    kept
        Pattern in our names that keep their values where `weights` has none for them, as `^scaler\.`.

    Raises
    ------
    RuntimeError
        If a tensor is missing, left over, or of another shape.
    """
    renamed = {own: tensor for name, tensor in weights.items() if (own := _own_name(name, names)) is not None}
    may_stay = re.compile(f"_tracked$|{kept}" if kept else "_tracked$")
    state = {name: value for name, value in model.state_dict().items() if may_stay.search(name)}
    model.load_state_dict(state | renamed)


def _own_name(name: str, names: Names) -> str | None:
    for pattern, own in names.items():
        if found := re.match(pattern, name):
            return None if own is None else found.expand(own) + name[found.end() :]
    return name

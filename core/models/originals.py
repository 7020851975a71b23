"""Loading weights that carry the names of an original implementation."""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

FRONT_END: dict[str, None] = dict.fromkeys(("mel_spec.", "amplitude_to_db.", "wav2img."))
"""Prefixes of torchaudio's buffers, for `rename_prefixes`: ours follow from the configuration."""


def load_renamed(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    rename: Callable[[str], str | None],
    kept: Sequence[str] = (),
) -> None:
    """Load `weights` into `model` after renaming.

    Buffers that the model can derive (counters of batches) keep their values when `weights` lacks them.

    Parameters
    ----------
    model
        To load into.
    weights
        Tensors under the original's names.
    rename
        Maps an original name to ours; None for a tensor that has no counterpart here.
    kept
        Starts of our names that keep their values where `weights` has none for them.

    Raises
    ------
    RuntimeError
        If a tensor is missing, left over, or of another shape.
    """
    renamed = {own: tensor for name, tensor in weights.items() if (own := rename(name)) is not None}
    starts = tuple(kept)
    present = model.state_dict().items()
    kept_values = {n: v for n, v in present if n.endswith("_tracked") or n.startswith(starts)}
    model.load_state_dict(kept_values | renamed)


def rename_prefixes(prefixes: Mapping[str, str | None]) -> Callable[[str], str | None]:
    """Return a function that replaces the first matching prefix; any other name stays as it is.

    A prefix that maps to None marks tensors without a counterpart.
    """

    def rename(name: str) -> str | None:
        for theirs, own in prefixes.items():
            if name.startswith(theirs):
                return None if own is None else own + name.removeprefix(theirs)
        return name

    return rename

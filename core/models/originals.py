"""Loading weights that carry the names of an original implementation."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn


def load_renamed(
    model: nn.Module, weights: Mapping[str, Tensor], rename: Callable[[str], str | None]
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

    Raises
    ------
    RuntimeError
        If a tensor is missing, left over, or of another shape.
    """
    renamed = {own: tensor for name, tensor in weights.items() if (own := rename(name)) is not None}
    derived = {name: value for name, value in model.state_dict().items() if name.endswith("_tracked")}
    model.load_state_dict(derived | renamed)


def rename_prefixes(prefixes: Mapping[str, str]) -> Callable[[str], str | None]:
    """Return a function that replaces the first matching prefix; any other name stays as it is."""

    def rename(name: str) -> str | None:
        for theirs, own in prefixes.items():
            if name.startswith(theirs):
                return own + name.removeprefix(theirs)
        return name

    return rename

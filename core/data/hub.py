"""Data sets of the Hugging Face hub: their parquet files, fetched once into the cache."""

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from core.files import alone_in, write_atomically
from core.machine import answers

_ADDRESS = re.compile(r"hf:/{1,2}([^/]+/[^/]+)(?:/([^/]+))?/?")
_CONVERTED = "refs/convert/parquet"
_SHARD = re.compile(r"-\d{5}-of-\d{5}(-\w+)?\.parquet$")
_FETCHED = "fetched.json"


def is_hub(root: Path | str) -> bool:
    """Return whether a root is an address of the hub, `hf://owner/name/config`."""
    return str(root).startswith("hf:/")


def fetch(root: Path | str, cache: Path) -> Path:
    """Return the folder in `cache` with the parquet files of a data set; what is there already stays.

    Its own files are taken where they are parquet with a part of the rows each, else those that the hub
    converted.

    Raises
    ------
    ValueError
        If the hub cannot be reached, or has no such set, configuration or files.
    """
    found = _ADDRESS.fullmatch(str(root))
    if found is None:
        message = f"{root}: expected hf://owner/name/config"
        raise ValueError(message)
    repo, config = found.groups()
    folder = cache / "hub" / "--".join([*repo.split("/"), *([config] if config else [])])
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        if not (folder / _FETCHED).is_file():
            _download(str(root), repo, config, folder)
    return folder


def _download(root: str, repo: str, config: str | None, folder: Path) -> None:
    """Fetch the files; those that were fetched before an interruption stay."""
    import huggingface_hub
    from huggingface_hub import constants, errors

    elsewhere = (
        f"fetch them where it can be, `hf download {repo} --repo-type=dataset --revision={_CONVERTED} "
        f"--include='{config or '*'}/*' --local-dir=FOLDER`, and give --data.root=FOLDER"
    )
    if constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT):
        message = (
            f"{root}: its parquet files are not in {folder} and {constants.ENDPOINT} cannot be reached; "
        )
        raise ValueError(message + elsewhere)
    try:
        revision, files = _find(root, repo, config)
        for file in files:
            huggingface_hub.hf_hub_download(
                repo, file, repo_type="dataset", revision=revision, local_dir=folder
            )
    except errors.RepositoryNotFoundError as error:
        message = f"{root}: {constants.ENDPOINT} has no data set {repo} that is open to you"
        raise ValueError(message) from error
    except (OSError, errors.HTTPError) as error:
        reason = str(error).strip().partition("\n")[0]
        message = (
            f"{root}: {constants.ENDPOINT}: {reason}; the same command goes on from here. Or {elsewhere}"
        )
        raise ValueError(message) from error
    write_atomically(folder / _FETCHED, json.dumps({"revision": revision, "files": files}, indent=2))


def _find(root: str, repo: str, config: str | None) -> tuple[str, list[str]]:
    """Return the revision and the names of the parquet files of a configuration."""
    from huggingface_hub import HfApi, errors

    api = HfApi()
    listed = {
        "main": [name for name in api.list_repo_files(repo, repo_type="dataset") if _SHARD.search(name)]
    }
    try:
        converted = api.list_repo_files(repo, repo_type="dataset", revision=_CONVERTED)
        listed[_CONVERTED] = [name for name in converted if name.endswith(".parquet")]
    except errors.RevisionNotFoundError:
        pass
    for revision, names in listed.items():
        if chosen := _of_configuration(names, config):
            return revision, chosen
    configs = sorted(
        {configuration_of(PurePosixPath(name)) or "default" for names in listed.values() for name in names}
    )
    if configs:
        message = f"{root}: name one of its configurations as hf://{repo}/CONFIG: {', '.join(configs)}"
    else:
        message = (
            f"{root}: the hub has no parquet files with the audio of this set; write them once with the "
            "library datasets, set[SPLIT].to_parquet('FOLDER/SPLIT.parquet'), and give --data.root=FOLDER"
        )
    raise ValueError(message)


def _of_configuration(names: Sequence[str], config: str | None) -> list[str]:
    """Return the files of a configuration; of the only one where none is named."""
    of = {name: configuration_of(PurePosixPath(name)) for name in names}
    if config is None and len(set(of.values())) == 1:
        return list(of)
    return [name for name, folder in of.items() if config in {folder or "default"}]


def split_of(file: PurePosixPath | Path) -> str:
    """Return the split that a parquet file is of, by its name or its folder's.

    Examples
    --------
    >>> split_of(Path("HSN/test_5s-00000-of-00003.parquet"))
    'test_5s'
    >>> split_of(Path("HSN/partial-train/0000.parquet"))
    'train'
    """
    stem = re.sub(r"-\d{5}-of-\d{5}(-\w+)?$", "", file.stem)
    return file.parent.name.removeprefix("partial-") if stem.isdigit() else stem


def configuration_of(file: PurePosixPath | Path) -> str:
    """Return the configuration that a parquet file is of, by its folder; "" where none is named."""
    folder = file.parent.parent if file.stem.isdigit() else file.parent
    return "" if folder.name == "data" else folder.name

"""What a demo data set holds, and how it appears at its place: whole or not at all.

Every file is a function of the seed and its own name, so audio and tables are the same for any number of
threads. Threads suffice: numpy's transforms and libsndfile's encoder leave the interpreter free. All is
written to a hidden folder beside its place, then renamed; `demo.json` states what it was made from.
"""

import argparse
import contextlib
import csv
import dataclasses
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from core.data.contents import inspect_content
from core.data.demo.birds import BY_CODE, UNRECORDED
from core.data.demo.scenes import BACKGROUNDS, Singer, make_background, make_recording, make_soundscape
from core.data.demo.songs import SAMPLE_RATE, generator_of
from core.data.soundscapes import WINDOW_SECONDS

DEMO_VERSION = 3
DEFAULT_SEED = 2022
OLDER_SEED = 2021  # of what stands in for an older year's data
STATEMENT = "demo.json"
MAX_WORKERS = 8
MIN_SOUNDING_SECONDS = 0.3  # of notes, their gaps left out, for a window's target to be True
BLOCK_SAMPLES = SAMPLE_RATE  # libsndfile's Vorbis encoder overruns the stack on long blocks
AUTHORS = [f"Recordist {letter}" for letter in "ABCDEFGHIJKLMN"]
RECORDING_SNR_DB, SITE_SNR_DB = (-8.0, 14.0), (-9.0, 9.0)
SECONDARY_SHARE = 0.24  # of recordings with another species behind the first
UNKNOWN_SHARE = 0.03  # of recordings with a species that has no files of its own
UNRATED_SHARE, UNTIMED_SHARE = 0.06, 0.05
RATING_AT_0_DB, DB_PER_STAR, RATING_SPREAD = 3.0, 8.0, 0.6
FIRST_NUMBER = 100001


@dataclass(frozen=True, kw_only=True)
class DemoPlan:
    """Counts and lengths of a demo data set.

    Attributes
    ----------
    recordings
        Species -> number of recordings.
    scored
        The judged species.
    recording_seconds, background_seconds
        Shortest and longest.
    num_backgrounds, num_soundscapes
        Numbers of files.
    soundscape_seconds
        Length of a soundscape, a whole number of windows.
    """

    recordings: dict[str, int] = field(
        default_factory=lambda: {
            "embups": 84, "dusdow": 66, "lanqui": 52, "melslo": 42, "velste": 34, "paphas": 28,
            "tindou": 14, "grabuz": 13, "copste": 12, "papdaw": 11, "mararc": 9, "crygli": 8, "rusbuz": 7,
            "holvee": 5, "ashwhi": 4, "pebmon": 3, "clolon": 2, "mislon": 1,
        }
    )  # fmt: skip
    scored: tuple[str, ...] = ("embups", "dusdow", "lanqui", "melslo", "velste", "paphas")
    recording_seconds: tuple[float, float] = (5.0, 9.0)
    num_backgrounds: int = 36
    background_seconds: tuple[float, float] = (8.0, 12.0)
    num_soundscapes: int = 10
    soundscape_seconds: int = 60


def tiny_plan() -> DemoPlan:
    """Return a plan for tests: 6 species, 3 scored, 20 recordings, 1 soundscape; made in a second."""
    return DemoPlan(
        recordings={"embups": 6, "dusdow": 4, "copste": 3, "lanqui": 3, "papdaw": 3, "grabuz": 1},
        scored=("embups", "dusdow", "lanqui"),
        recording_seconds=(5.0, 6.0),
        num_backgrounds=2,
        background_seconds=(5.0, 6.0),
        num_soundscapes=1,
        soundscape_seconds=20,
    )


def demo_root(base: Path | str = "data", seed: int = DEFAULT_SEED) -> Path:
    """Return the folder of the demo data set of this version under `base`."""
    return Path(base) / f"demo-v{DEMO_VERSION}-{seed}"


def ensure_demo(root: Path | str, seed: int = DEFAULT_SEED, plan: DemoPlan | None = None) -> Path:
    """Generate the demo data set unless it is there; return `root`.

    Safe when several processes call it at once (one generates, the others wait), and when killed: `root`
    is then absent, and the next call replaces what was left beside it.

    Parameters
    ----------
    root
        Folder of the data set, such as `demo_root()`.
    seed
        Seed of everything random, at least 0.
    plan
        Counts and lengths; None: the full demo.

    Raises
    ------
    ValueError
        If `root` holds anything else, another version, seed or plan included.
    """
    root, plan = Path(root), plan or DemoPlan()
    if seed < 0:
        message = f"seed={seed}: expected 0 or above"
        raise ValueError(message)
    content = {"version": DEMO_VERSION, "seed": seed, "plan": dataclasses.asdict(plan)}
    statement = json.dumps(content, indent=1) + "\n"
    if _is_complete(root, statement):
        return root
    root.parent.mkdir(parents=True, exist_ok=True)
    with _alone_in(root.parent):
        if _is_complete(root, statement):  # another process was faster
            return root
        begin = time.perf_counter()
        part = root.with_name(f".{root.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            _write_data_set(part, plan, seed)
            (part / STATEMENT).write_text(statement)
            part.rename(root)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    size = sum(file.stat().st_size for file in root.rglob("*") if file.is_file())
    print(
        f"Demo data {root}: {sum(plan.recordings.values())} recordings, {plan.num_backgrounds} backgrounds, "
        f"{plan.num_soundscapes} soundscapes, {size / 1e6:.1f} MB, "
        f"made in {time.perf_counter() - begin:.1f} s",
        flush=True,
    )
    return root


def _is_complete(root: Path, statement: str) -> bool:
    """Return whether this very data set is at `root`; refuse a folder that holds something else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    file = root / STATEMENT
    if not file.is_file():
        message = f"{root}: holds files but no {STATEMENT}, so it is no demo data set; name another folder"
        raise ValueError(message)
    if file.read_text() != statement:
        message = f"{file}: made with another seed, plan or version; delete {root} or name another folder"
        raise ValueError(message)
    return True


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait for other processes that generate below a folder; the kernel frees the lock of a killed one."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write_data_set(folder: Path, plan: DemoPlan, seed: int) -> None:
    """Write all files of a plan into a new folder."""
    first = FIRST_NUMBER + 1000 * seed  # as xeno-canto's numbers, no two sets share one
    codes = [code for code, count in plan.recordings.items() for _ in range(count)]
    names = [f"XD{first + i}" for i in range(len(codes))]
    for name in ("test_soundscapes", *(f"train_audio/{code}" for code in plan.recordings)):
        (folder / name).mkdir(parents=True)
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_WORKERS))
    try:
        soundscapes = pool.map(partial(_write_soundscape, folder, plan, seed), *_singing(plan, seed))
        backgrounds = pool.map(partial(_write_background, folder, plan, seed), range(plan.num_backgrounds))
        recordings = pool.map(partial(_write_recording, folder, plan, seed), codes, names)
        _write_csv(folder / "train_metadata.csv", recordings)
        rows = [row for table in soundscapes for row in table]
        list(backgrounds)
    finally:
        pool.shutdown(cancel_futures=True)
    solution = [{"row_id": row["row_id"], "target": row.pop("target")} for row in rows]
    _write_csv(folder / "test.csv", rows)
    _write_csv(folder / "solution.csv", solution)
    (folder / "scored_birds.json").write_text(json.dumps(sorted(plan.scored)))


def _write_csv(file: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write a table with a header and newlines as in the competition's files."""
    table = list(rows)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def _write_ogg(file: Path, wave: np.ndarray) -> None:
    """Write mono OGG Vorbis; `OSError` if it did not become a whole stream, as on a full disk."""
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, channels=1, format="OGG", subtype="VORBIS") as out:
        for start in range(0, len(wave), BLOCK_SAMPLES):
            out.write(wave[start : start + BLOCK_SAMPLES])
    content = inspect_content(file)
    if content.kind != "ogg" or content.damage:
        message = f"{file}: written, but {content.damage or 'empty'}; check the free space of its disk"
        raise OSError(message)


def _write_background(folder: Path, plan: DemoPlan, seed: int, index: int) -> None:
    kind, number = list(BACKGROUNDS)[index % len(BACKGROUNDS)], index // len(BACKGROUNDS) + 1
    generator = generator_of(seed, "background", kind, number)
    wave = make_background(kind, generator.uniform(*plan.background_seconds), generator)
    file = folder / "background" / kind / f"{kind}_{number:02d}.ogg"
    file.parent.mkdir(parents=True, exist_ok=True)
    _write_ogg(file, wave)


def _write_recording(folder: Path, plan: DemoPlan, seed: int, code: str, name: str) -> dict[str, object]:
    """Write a recording; return its row of the metadata."""
    generator = generator_of(seed, "recording", name)
    seconds = generator.uniform(*plan.recording_seconds)
    shares = 1.0 / np.arange(1, len(AUTHORS) + 1)
    author = str(generator.choice(AUTHORS, p=shares / shares.sum()))
    snr_db = generator.uniform(*RECORDING_SNR_DB)
    behind: list[str] = []
    if generator.random() < SECONDARY_SHARE:
        others = [other for other in plan.recordings if other != code]
        behind += generator.choice(others, size=1 + (generator.random() < 0.15), replace=False).tolist()
    if generator.random() < UNKNOWN_SHARE:
        behind.append(str(generator.choice([species.code for species in UNRECORDED])))
    singers = [Singer(code, snr_db, 0.0, seconds)]
    for other in behind:
        length = seconds * generator.uniform(0.6, 0.9)
        softer = snr_db - generator.uniform(3, 9)
        singers.append(Singer(other, softer, generator.uniform(0, seconds - length), length))
    wave, _ = make_recording(author, seconds, singers, seed, generator)
    filename = f"{code}/{name}.ogg"
    _write_ogg(folder / "train_audio" / filename, wave)
    stars = RATING_AT_0_DB + snr_db / DB_PER_STAR + generator.normal(0, RATING_SPREAD)
    is_rated, is_timed = generator.random() >= UNRATED_SHARE, generator.random() >= UNTIMED_SHARE
    return {
        "primary_label": code,
        "secondary_labels": str(behind),
        "type": generator.choice(["['song']", "['call']", "['call', 'song']"]),
        "latitude": f"{generator.uniform(-40, 60):.4f}",
        "longitude": f"{generator.uniform(-150, 150):.4f}",
        "scientific_name": BY_CODE[code].scientific_name,
        "common_name": BY_CODE[code].common_name,
        "author": author,
        "license": "CC0 1.0 (generated, no bird was recorded)",
        "rating": float(np.clip(np.rint(2 * stars) / 2, 0.5, 5.0)) if is_rated else 0.0,
        "time": f"{generator.integers(5, 20):02d}:{15 * generator.integers(4):02d}" if is_timed else "?",
        "url": f"https://demo.invalid/{name.removeprefix('XD')}",
        "filename": filename,
    }


def _singing(plan: DemoPlan, seed: int) -> tuple[list[str], list[list[str]]]:
    """Return the names of soundscapes and the species of each; every scored one sings in some of them."""
    generator, number = generator_of(seed, "soundscapes"), plan.num_soundscapes
    present: list[list[str]] = [[] for _ in range(number)]
    for code in plan.recordings:
        share = 0.4 if code in plan.scored else 0.2
        for i in generator.permutation(number)[: max(round(share * number), code in plan.scored)]:
            present[i].append(code)
    return [f"soundscape_{2022001 + 17 * i}" for i in range(number)], present


def _write_soundscape(
    folder: Path, plan: DemoPlan, seed: int, name: str, codes: Sequence[str]
) -> list[dict[str, object]]:
    """Write a soundscape; return its rows of the tables of windows."""
    generator, whole = generator_of(seed, "soundscape", name), plan.soundscape_seconds
    singers = []
    for code in codes:
        for _ in range(generator.integers(1, 3)):
            length = min(generator.uniform(5, 14), 0.45 * whole)
            begin = generator.uniform(0, whole - length)
            singers.append(Singer(code, generator.uniform(*SITE_SNR_DB), begin, length))
    # files of the competition are within a few milliseconds of one minute
    seconds = whole + generator.uniform(-0.01, 0.01)
    wave, sounding = make_soundscape("site", seconds, singers, seed, generator)
    _write_ogg(folder / "test_soundscapes" / f"{name}.ogg", wave)
    rows: list[dict[str, object]] = []
    for bird in sorted(plan.scored):
        notes = sounding.get(bird, np.zeros((0, 2)))
        for end in range(WINDOW_SECONDS, whole + 1, WINDOW_SECONDS):
            overlap = np.minimum(notes[:, 1], end) - np.maximum(notes[:, 0], end - WINDOW_SECONDS)
            target = bool(overlap.clip(min=0).sum() >= MIN_SOUNDING_SECONDS)
            row = {"row_id": f"{name}_{bird}_{end}", "file_id": name, "bird": bird, "end_time": end}
            rows.append(row | {"target": target})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate the demo data set from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m core.data.demo", description="Generate the demo data set unless it is there."
    )
    parser.add_argument("root", nargs="?", type=Path, help="folder of the data set (default: below data/)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="seed of everything random")
    options = parser.parse_args(arguments)
    try:
        ensure_demo(options.root or demo_root(seed=options.seed), options.seed)
    except (ValueError, OSError) as error:
        parser.error(str(error))

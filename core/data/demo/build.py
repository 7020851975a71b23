"""What a demo data set holds, and how it appears at its place: whole or not at all.

Every file is a function of the seed and its own name, so audio and tables are the same for any number of
threads. Threads suffice: numpy's transforms and libsndfile's encoder leave the interpreter free. All is
written to a hidden folder beside its place, then renamed; `demo.json` states what it was made from.
"""

import dataclasses
import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import soundfile

from core.data.contents import inspect_content
from core.data.demo.birds import BY_CODE, UNRECORDED
from core.data.demo.scenes import BACKGROUNDS, Singer, make_background, make_recording, make_soundscape
from core.data.demo.songs import SAMPLE_RATE, generator_of
from core.data.soundscapes import WINDOW_SECONDS
from core.files import alone_in
from core.machine import usable_cores

DEMO_VERSION = 4
DEFAULT_SEED = 2022
OLDER_SEED = 2021  # of what stands in for an older year's data
STATEMENT = "demo.json"
MAX_WORKERS = 8
MIN_SOUNDING_SECONDS = 0.3  # of notes, their gaps left out, for a species to be heard in a window
BLOCK_SAMPLES = SAMPLE_RATE  # libsndfile's Vorbis encoder overruns the stack on long blocks
AUTHORS = [f"Recordist {letter}" for letter in "ABCDEFGHIJKLMN"]
RECORDING_SNR_DB, SITE_SNR_DB = (-8.0, 14.0), (-9.0, 9.0)
SECONDARY_SHARE = 0.24  # of recordings with another species behind the first
UNKNOWN_SHARE = 0.03  # of recordings with a species that has no files of its own
UNRATED_SHARE, UNTIMED_SHARE = 0.06, 0.05
RATING_AT_0_DB, DB_PER_STAR, RATING_SPREAD = 3.0, 8.0, 0.6
TEST_SHARE, TRAIN_SHARE = 0.4, 0.3  # of soundscapes in which a scored species sings
FIRST_NUMBER = 100001


@dataclass(frozen=True, kw_only=True)
class DemoPlan:
    """Counts and lengths of a demo data set; of each pair of lengths, the shortest and the longest."""

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
    num_soundscapes: int = 10  # of the test, all from one place that nobody labelled
    soundscape_seconds: int = 60
    labelled_sites: int = 6  # of the last file of each, and of all other sites, nothing is known
    unlabelled_sites: int = 3
    files_per_site: int = 3
    site_seconds: int = 30


def tiny_plan() -> DemoPlan:
    """Return a plan for tests: 6 species, 3 scored, 20 recordings, 7 soundscapes; made in a second."""
    return DemoPlan(
        recordings={"embups": 6, "dusdow": 4, "copste": 3, "lanqui": 3, "papdaw": 3, "grabuz": 1},
        scored=("embups", "dusdow", "lanqui"), recording_seconds=(5.0, 6.0),
        num_backgrounds=2, background_seconds=(5.0, 6.0), num_soundscapes=1, soundscape_seconds=20,
        labelled_sites=2, unlabelled_sites=1, files_per_site=2, site_seconds=20,
    )  # fmt: skip


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
    root.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(root.parent):
        if _is_complete(root, statement):
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
    files = [file for file in root.rglob("*") if file.is_file()]
    print(
        f"Demo data {root}: {sum(plan.recordings.values())} recordings, {plan.num_backgrounds} backgrounds, "
        f"{sum('soundscapes' in file.parent.name for file in files)} soundscapes, "
        f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB, "
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


def _write_data_set(folder: Path, plan: DemoPlan, seed: int) -> None:
    """Write all files of a plan into a new folder."""
    first = FIRST_NUMBER + 1000 * seed  # as xeno-canto's numbers, no two sets share one
    codes = [code for code, count in plan.recordings.items() for _ in range(count)]
    names = [f"XD{first + i}" for i in range(len(codes))]
    soundscapes = _plan_soundscapes(plan, seed)
    pool = ThreadPoolExecutor(min(len(usable_cores()), MAX_WORKERS))
    try:
        windows = pool.map(partial(_write_soundscape, folder, plan, seed), soundscapes)
        backgrounds = pool.map(partial(_write_background, folder, plan, seed), range(plan.num_backgrounds))
        recordings = pool.map(partial(_write_recording, folder, plan, seed), codes, names)
        metadata = pd.DataFrame(recordings)
        names = ["primary_label", "scientific_name", "common_name"]
        taxonomy = metadata[names].drop_duplicates().sort_values(names[0]).assign(class_name="Aves")
        tables = {"train_metadata": metadata, "taxonomy": taxonomy}
        list(backgrounds)
        tables |= _tables_of_windows(plan, soundscapes, list(windows))
    finally:
        pool.shutdown(cancel_futures=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "scored_birds.json").write_text(json.dumps(sorted(plan.scored)))


def _write_ogg(file: Path, wave: np.ndarray) -> None:
    """Write mono OGG Vorbis; `OSError` if it did not become a whole stream, as on a full disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
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
    _write_ogg(folder / "background" / kind / f"{kind}_{number:02d}.ogg", wave)


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
    filename = f"{code}/{name}.ogg"
    wave = make_recording(author, seconds, singers, seed, generator)
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


class _Soundscape(NamedTuple):
    """A soundscape to be made: its file below the root, where, how many seconds, who sings, who listens."""

    file: Path
    site: str
    seconds: int
    species: list[str]
    is_labelled: bool


def _plan_soundscapes(plan: DemoPlan, seed: int) -> list[_Soundscape]:
    """Return the soundscapes of the test and of the sites; names of the latter say site, date and time."""
    folder, length = Path("test_soundscapes"), plan.soundscape_seconds
    numbers = [2022001 + 17 * i for i in range(plan.num_soundscapes)]
    test = [_Soundscape(folder / f"soundscape_{n}.ogg", "site", length, [], False) for n in numbers]
    _cast(plan, test, TEST_SHARE, generator_of(seed, "soundscapes"))
    train = []
    for number in range(1, plan.labelled_sites + plan.unlabelled_sites + 1):
        site = f"S{number:02d}"
        for i, hour in enumerate(generator_of(seed, "site", site).integers(4, 20, plan.files_per_site)):
            name = f"DEMO_{site}_{2000 + seed % 100}04{12 + i:02d}_{hour:02d}3000.ogg"
            is_labelled = number <= plan.labelled_sites and i < plan.files_per_site - 1
            file = Path("train_soundscapes", name)
            train.append(_Soundscape(file, site, plan.site_seconds, [], is_labelled))
    _cast(plan, train, TRAIN_SHARE, generator_of(seed, "sites"))
    return test + train


def _cast(
    plan: DemoPlan, soundscapes: Sequence[_Soundscape], share: float, generator: np.random.Generator
) -> None:
    """Let each scored species sing in a share of soundscapes, at least in one, and others in half of it."""
    number = len(soundscapes)
    for code in plan.recordings:
        least = code in plan.scored
        for i in generator.permutation(number)[: max(round(share / (2 - least) * number), least)]:
            soundscapes[i].species.append(code)


def unlabelled_truth(seed: int = DEFAULT_SEED, plan: DemoPlan | None = None) -> dict[str, pd.DataFrame]:
    """Return what is heard at the sites that nobody labelled: file name -> bool, a row a window, by its end.

    No file of a demo data set tells this; it is made anew from what the set was made of.

    Parameters
    ----------
    seed, plan
        Of `ensure_demo`.
    """
    plan = plan or DemoPlan()
    sites = {f"S{plan.labelled_sites + 1 + i:02d}" for i in range(plan.unlabelled_sites)}
    chosen = [made for made in _plan_soundscapes(plan, seed) if made.site in sites]
    return {made.file.name: _perform_soundscape(plan, seed, made)[1] for made in chosen}


def _write_soundscape(folder: Path, plan: DemoPlan, seed: int, made: _Soundscape) -> pd.DataFrame:
    """Write a soundscape; return whether each species is heard, a row a window, by its end in seconds."""
    wave, heard = _perform_soundscape(plan, seed, made)
    _write_ogg(folder / made.file, wave)
    return heard


def _perform_soundscape(plan: DemoPlan, seed: int, made: _Soundscape) -> tuple[np.ndarray, pd.DataFrame]:
    """Return a soundscape (sample,), and what `_write_soundscape` returns."""
    generator = generator_of(seed, "soundscape", made.file.stem)
    singers = []
    for code in made.species:
        for _ in range(generator.integers(1, 3)):
            length = min(generator.uniform(5, 14), 0.45 * made.seconds)
            begin = generator.uniform(0, made.seconds - length)
            singers.append(Singer(code, generator.uniform(*SITE_SNR_DB), begin, length))
    # files of the competition are within a few milliseconds of one minute
    seconds = made.seconds + generator.uniform(-0.01, 0.01)
    wave, sounding = make_soundscape(made.site, seconds, singers, seed, generator)
    ends = np.arange(WINDOW_SECONDS, made.seconds + 1, WINDOW_SECONDS)
    heard = {}
    for code in sorted(plan.recordings):
        note_begin, note_end = sounding.get(code, np.zeros((0, 2))).T[:, :, None]
        overlap = np.minimum(note_end, ends) - np.maximum(note_begin, ends - WINDOW_SECONDS)
        heard[code] = overlap.clip(min=0).sum(axis=0) >= MIN_SOUNDING_SECONDS
    return wave, pd.DataFrame(heard, index=ends)


def _tables_of_windows(
    plan: DemoPlan, soundscapes: Sequence[_Soundscape], windows: Sequence[pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Return the tables of the test, as in 2022, and of the labelled soundscapes of the sites, as in 2026."""
    judged, labels = [], []
    for made, heard in zip(soundscapes, windows, strict=True):
        if made.file.parent.name == "test_soundscapes":
            for bird in sorted(plan.scored):
                name = made.file.stem
                rows = [(f"{name}_{bird}_{end}", name, bird, end) for end in heard.index]
                judged += [(*row, target) for row, target in zip(rows, heard[bird], strict=True)]
        elif made.is_labelled:
            for end, row in heard.iterrows():
                times = [f"00:{t // 60:02d}:{t % 60:02d}" for t in (end - WINDOW_SECONDS, end)]
                labels.append((made.file.name, *times, ";".join(heard.columns[row]) or "nocall"))
    test = pd.DataFrame(judged, columns=["row_id", "file_id", "bird", "end_time", "target"])
    return {
        "test": test.drop(columns="target"),
        "solution": test[["row_id", "target"]],
        "train_soundscapes_labels": pd.DataFrame(
            labels, columns=["filename", "start", "end", "primary_label"]
        ),
    }

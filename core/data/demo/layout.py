"""Write a demo data set in the layout of BirdCLEF 2022: audio, tables, truth.

Every file is a function of the seed and its own name, so audio and tables are the same for any number of
threads. Threads suffice: numpy's transforms and libsndfile's encoder leave the interpreter free.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from core.data.audio import AudioError, check_file
from core.data.demo.backgrounds import BACKGROUNDS
from core.data.demo.plan import (
    WINDOW_SECONDS,
    DemoPlan,
    RecordingSheet,
    SoundscapeSheet,
    plan_recordings,
    plan_soundscapes,
)
from core.data.demo.scenes import make_background, make_recording, make_soundscape
from core.data.demo.songs import SAMPLE_RATE, generator_of, sounding_seconds
from core.data.demo.species import ALL_SPECIES

MIN_SOUNDING_SECONDS = 0.3  # of notes, their gaps left out, for a window's target to be True
BLOCK_SAMPLES = SAMPLE_RATE  # libsndfile's Vorbis encoder overruns the stack on long blocks
METADATA_COLUMNS = (
    "primary_label", "secondary_labels", "type", "latitude", "longitude", "scientific_name", "common_name",
    "author", "license", "rating", "time", "url", "filename", "length",
)  # fmt: skip
TEST_COLUMNS = ("row_id", "file_id", "bird", "end_time")
SOLUTION_COLUMNS = ("row_id", "target")
LICENSE = "CC0 1.0 (generated, no bird was recorded)"
TYPES = ("['song']", "['call']", "['call', 'song']", "['male', 'song']")
UNRATED_SHARE = 0.06
UNTIMED_SHARE = 0.05
RATING_AT_0_DB, DB_PER_STAR, RATING_SPREAD = 3.0, 8.0, 0.6


def write_data_set(folder: Path, plan: DemoPlan, seed: int, workers: int) -> None:
    """Write all files of a plan into an empty folder, with `workers` threads."""
    recordings, soundscapes = plan_recordings(plan, seed), plan_soundscapes(plan, seed)
    for name in ("test_soundscapes", *(f"train_audio/{code}" for code in plan.recordings)):
        (folder / name).mkdir(parents=True)
    pool = ThreadPoolExecutor(workers)
    try:
        tables = pool.map(partial(_write_soundscape, folder, plan, seed), soundscapes)
        backgrounds = pool.map(partial(_write_background, folder, plan, seed), range(plan.num_backgrounds))
        rows = pool.map(partial(_write_recording, folder, seed), recordings)
        truth = [row for table in tables for row in table]
        list(backgrounds)
        write_csv(folder / "train_metadata.csv", METADATA_COLUMNS, rows)
    finally:
        pool.shutdown(cancel_futures=True)
    write_csv(folder / "test.csv", TEST_COLUMNS, [row[:4] for row in truth])
    write_csv(folder / "solution.csv", SOLUTION_COLUMNS, [(row[0], row[4]) for row in truth])
    (folder / "scored_birds.json").write_text(json.dumps(sorted(plan.scored)))


def write_csv(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with a header and newlines as in the competition's files."""
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def write_ogg(file: Path, wave: np.ndarray) -> None:
    """Write mono OGG Vorbis.

    Raises
    ------
    OSError
        If the file did not become a whole stream, as on a full disk.
    """
    with soundfile.SoundFile(file, "w", SAMPLE_RATE, channels=1, format="OGG", subtype="VORBIS") as out:
        for start in range(0, len(wave), BLOCK_SAMPLES):
            out.write(wave[start : start + BLOCK_SAMPLES])
    try:
        check_file(file)
    except AudioError as error:
        message = f"{file}: written, but {error}; check the free space of its disk"
        raise OSError(message) from error


def _write_background(folder: Path, plan: DemoPlan, seed: int, index: int) -> None:
    kind = list(BACKGROUNDS)[index % len(BACKGROUNDS)]
    number = index // len(BACKGROUNDS) + 1
    seconds = generator_of(seed, "background length", index).uniform(*plan.background_seconds)
    file = folder / "background" / kind / f"{kind}_{number:02d}.ogg"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_ogg(file, make_background(kind, seconds, seed, number))


def _write_recording(folder: Path, seed: int, sheet: RecordingSheet) -> list[object]:
    """Write a recording; return its row of the metadata, in the order of `METADATA_COLUMNS`."""
    scene = make_recording(sheet.name, sheet.author, sheet.seconds, sheet.singers, seed)
    filename = f"{sheet.species}/{sheet.name}.ogg"
    write_ogg(folder / "train_audio" / filename, scene.wave)
    species = next(species for species in ALL_SPECIES if species.code == sheet.species)
    generator = generator_of(seed, "metadata", sheet.name)
    stars = RATING_AT_0_DB + sheet.singers[0].snr_db / DB_PER_STAR + generator.normal(0, RATING_SPREAD)
    is_rated = generator.random() >= UNRATED_SHARE
    is_timed = generator.random() >= UNTIMED_SHARE
    hour, quarter = generator.integers(5, 20), generator.integers(4)
    return [
        sheet.species,
        str(sheet.secondary),
        generator.choice(TYPES, p=(0.55, 0.2, 0.15, 0.1)),
        f"{generator.uniform(-40, 60):.4f}",
        f"{generator.uniform(-150, 150):.4f}",
        species.scientific_name,
        species.common_name,
        sheet.author,
        LICENSE,
        float(np.clip(np.rint(2 * stars) / 2, 0.5, 5.0)) if is_rated else 0.0,
        f"{hour:02d}:{15 * quarter:02d}" if is_timed else "?",
        f"https://demo.invalid/{sheet.name.removeprefix('XD')}",
        filename,
        len(scene.wave),
    ]


def _write_soundscape(
    folder: Path, plan: DemoPlan, seed: int, sheet: SoundscapeSheet
) -> list[tuple[str, str, str, int, bool]]:
    """Write a soundscape; return row_id, file_id, bird, end_time and target of its rows."""
    scene = make_soundscape(sheet.name, sheet.seconds, sheet.singers, seed)
    write_ogg(folder / "test_soundscapes" / f"{sheet.name}.ogg", scene.wave)
    silence = np.zeros((0, 2))
    rows = []
    for bird in sorted(plan.scored):
        notes = scene.sounding.get(bird, silence)
        for end in range(WINDOW_SECONDS, plan.soundscape_seconds + 1, WINDOW_SECONDS):
            target = sounding_seconds(notes, end - WINDOW_SECONDS, end) >= MIN_SOUNDING_SECONDS
            rows.append((f"{sheet.name}_{bird}_{end}", sheet.name, bird, end, target))
    return rows

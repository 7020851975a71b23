"""Small folders in the form of each year's BirdCLEF, with codes, labels and rows as odd as the real ones."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

YEARS = (2021, 2022, 2023, 2024, 2025, 2026)
SORTED = ("001", "1e5", "22961", "grekis", "nan", "true")
TAXONOMY_ORDER = ("22961", "1139490", "47158son15", "1e5", "grekis", "nan", "true", "y00678")
UNRECORDED = ("47158son15", "y00678")
"""Classes of 2026 that only labelled soundscapes hold."""
RECORDINGS = 4  # of a class
WINDOWS = 4  # of a soundscape
RATE = 32000
GROUPS = {"22961": "Amphibia", "1139490": "Insecta", "47158son15": "Insecta"}
_SECONDARY = ("[]", "['']", "", "['grekis', 'ghost']")
_HEARD: tuple[tuple[str, ...], ...] = (("47158son15", "nan"), ("y00678",), (), ("22961", "1e5", "true"))


def classes_of(year: int) -> tuple[str, ...]:
    """Return the codes of `make_year` in the order that its submission or network has."""
    return TAXONOMY_ORDER if year >= 2025 else SORTED


def make_year(root: Path, year: int, *, hidden_test: bool = True) -> Path:
    """Write the folder of a year; return it.

    Parameters
    ----------
    root
        Folder to make.
    year
        2021 to 2026. Those of 2021 and 2026 have two labelled soundscapes of four windows, 2024 to 2026 one
        that is not labelled.
    hidden_test
        With one soundscape of two windows in test_soundscapes/; else the folder is empty, as on the host.
    """
    codes = classes_of(year)
    recorded = [code for code in codes if year != 2026 or code not in UNRECORDED]
    audio = root / ("train_short_audio" if year == 2021 else "train_audio")
    rows = [_recording(audio, codes, year, code, number) for code in recorded for number in range(RECORDINGS)]
    _table(root / ("train.csv" if year >= 2025 else "train_metadata.csv"), rows)
    (root / "test_soundscapes").mkdir()
    if hidden_test:
        _soundscape(root / "test_soundscapes", stem_of_test(year), [codes[:1], codes[1:2]], codes)
    writers = {2021: _make_2021, 2022: _make_2022, 2023: _make_2023, 2024: _make_2024, 2025: _make_2025}
    writers.get(year, _make_2026)(root)
    return root


def make_sites(root: Path, *, sites: int = 4, files: int = 2) -> Path:
    """Write a folder of 2026's form with labelled soundscapes at several sites; return it.

    "heard" and "other" have recordings, "mute" has none. In every soundscape each sings in a window of its
    own, and the last window is silent.
    """
    codes = ("heard", "mute", "other")
    audio, labels = root / "train_audio", []
    rows = [
        _recording(audio, codes, 2025, code, i) for code in (codes[0], codes[2]) for i in range(RECORDINGS)
    ]
    _table(root / "train.csv", rows)
    _table(root / "taxonomy.csv", [{"primary_label": code, "class_name": "Aves"} for code in codes])
    for site in range(1, sites + 1):
        for number in range(files):
            stem = f"BC2026_Train_{10 * site + number:04}_S{site:02}_2025060{number + 1}_050000"
            order = np.random.default_rng([site, number]).permutation(3)
            heard = [(codes[i],) for i in order] + [()]
            _soundscape(root / "train_soundscapes", stem, heard, codes)
            labels += [
                {"filename": f"{stem}.ogg", "start": f"00:00:{5 * i:02}", "end": f"00:00:{5 * i + 5:02}",
                 "primary_label": ";".join(window) or "nocall"}
                for i, window in enumerate(heard)
            ]  # fmt: skip
    _table(root / "train_soundscapes_labels.csv", labels)
    return root


def stem_of_test(year: int) -> str:
    """Return the name, without suffix, of the one test soundscape."""
    names = {2021: "20152_SSW_20170805", 2026: "BC2026_Test_0001_S05_20250227_010002"}
    return names.get(year, "soundscape_29201")


def tone(code: str, codes: Sequence[str], seconds: float, seed: int = 0) -> np.ndarray:
    """Return (sample,) float32: beeps whose pitch is that of a class."""
    time = np.arange(int(RATE * seconds)) / RATE
    beeps = np.sin(2 * np.pi * (900 + 1100 * codes.index(code)) * time) * (np.sin(2 * np.pi * 2 * time) > 0)
    return (0.3 * beeps + 0.002 * np.random.default_rng(seed).standard_normal(len(time))).astype(np.float32)


def _recording(audio: Path, codes: Sequence[str], year: int, code: str, number: int) -> dict[str, object]:
    """Write one recording; return its row."""
    name = f"{'iNat' if year >= 2025 and number == 0 else 'XC'}{1000 * codes.index(code) + number}.ogg"
    (audio / code).mkdir(parents=True, exist_ok=True)
    soundfile.write(audio / code / name, tone(code, codes, 2.0, seed=number), RATE)
    row: dict[str, object] = {
        "primary_label": code,
        "secondary_labels": _SECONDARY[number % len(_SECONDARY)],
        "type": "['song']" if year < 2025 else "[]",
        "latitude": "", "longitude": "",
        "scientific_name": f"Species {code}", "common_name": f"Bird {code}",
        "author": f"Recordist {number}",
        "filename": name if year == 2021 else f"{code}/{name}",
        "rating": (0.0, 2.5, 4.5, 5.0)[number % 4],
    }  # fmt: skip
    if year >= 2025:
        row["collection"] = "iNat" if number == 0 else "XC"
    return row


def _soundscape(folder: Path, stem: str, heard: Sequence[Sequence[str]], codes: Sequence[str]) -> None:
    """Write a soundscape in which these classes are heard in each window of 5 s."""
    folder.mkdir(parents=True, exist_ok=True)
    silence = np.zeros(5 * RATE, np.float32)
    windows = [sum((tone(code, codes, 5.0) for code in window), silence) for window in heard]
    soundfile.write(folder / f"{stem}.ogg", np.concatenate(windows) / 3, RATE)


def _table(file: Path, rows: Sequence[Mapping[str, object]]) -> None:
    pd.DataFrame(rows).to_csv(file, index=False)


def _make_2021(root: Path) -> None:
    labels = []
    heard: tuple[tuple[str, ...], ...] = (("001", "nan"), (), ("1e5",), ("grekis",))
    for audio_id, site, date in (("7019", "COR", "20190904"), ("28933", "SSW", "20170408")):
        _soundscape(root / "train_soundscapes", f"{audio_id}_{site}_{date}", heard, SORTED)
        labels += [
            {"row_id": f"{audio_id}_{site}_{5 * (i + 1)}", "site": site, "audio_id": audio_id,
             "seconds": 5 * (i + 1), "birds": " ".join(birds) or "nocall"}
            for i, birds in enumerate(heard)
        ]  # fmt: skip
    _table(root / "train_soundscape_labels.csv", labels)
    audio_id, site, _ = stem_of_test(2021).split("_")
    rows = [
        {"row_id": f"{audio_id}_{site}_{end}", "site": site, "audio_id": audio_id, "seconds": end}
        for end in (5, 10)
    ]
    _table(root / "test.csv", rows)
    _table(root / "sample_submission.csv", [{"row_id": row["row_id"], "birds": "nocall"} for row in rows])


def _make_2022(root: Path) -> None:
    scored, stem = SORTED[1:4], stem_of_test(2022)
    (root / "scored_birds.json").write_text(json.dumps(scored))
    _ebird(root)
    rows = [
        {"row_id": f"{stem}_{code}_{end}", "file_id": stem, "bird": code, "end_time": end}
        for code in scored
        for end in (5, 10)
    ]
    _table(root / "test.csv", rows)
    _table(root / "sample_submission.csv", [{"row_id": row["row_id"], "target": False} for row in rows])


def _make_2023(root: Path) -> None:
    _ebird(root)
    _wide(root, 2023)


def _make_2024(root: Path) -> None:
    _make_2023(root)
    _soundscape(root / "unlabeled_soundscapes", "460830", [SORTED[:1], ()], SORTED)


def _make_2025(root: Path) -> None:
    _wide(root, 2025)
    _taxonomy(root)
    (root / "recording_location.txt").write_text("Somewhere\n")
    _soundscape(root / "train_soundscapes", "H02_20230420_074000", [TAXONOMY_ORDER[:1], ()], TAXONOMY_ORDER)


def _make_2026(root: Path) -> None:
    _wide(root, 2026)
    _taxonomy(root)
    labels = []
    for stem in ("BC2026_Train_0039_S22_20211231_201500", "BC2026_Train_0005_S08_20250607_070007"):
        _soundscape(root / "train_soundscapes", stem, _HEARD, TAXONOMY_ORDER)
        labels += [
            {"filename": f"{stem}.ogg", "start": f"00:00:{5 * i:02}", "end": f"00:00:{5 * i + 5:02}",
             "primary_label": ";".join(heard)}
            for i, heard in enumerate(_HEARD)
            if heard
        ]  # fmt: skip
    _table(root / "train_soundscapes_labels.csv", labels * 2)  # every row stands twice
    _soundscape(root / "train_soundscapes", "BC2026_Train_0001_S01_20220101_000000", [(), ()], TAXONOMY_ORDER)


def _wide(root: Path, year: int) -> None:
    rows = [
        {"row_id": f"{stem_of_test(year)}_{end}", **dict.fromkeys(classes_of(year), 0.5)} for end in (5, 10)
    ]
    _table(root / "sample_submission.csv", rows)


def _taxonomy(root: Path) -> None:
    rows = [
        {"primary_label": code, "inat_taxon_id": 100 + i, "scientific_name": f"Species {code}",
         "common_name": f"Bird {code}", "class_name": GROUPS.get(code, "Aves")}
        for i, code in enumerate(TAXONOMY_ORDER)
    ]  # fmt: skip
    _table(root / "taxonomy.csv", rows)


def _ebird(root: Path) -> None:
    codes = (*SORTED, "elsewhere")
    rows = [
        {"TAXON_ORDER": i, "CATEGORY": "species", "SPECIES_CODE": code, "PRIMARY_COM_NAME": f"Bird {code}",
         "SCI_NAME": f"Species {code}"}
        for i, code in enumerate(codes)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(root / "eBird_Taxonomy_v2021.csv", index=False, encoding="utf-8-sig")

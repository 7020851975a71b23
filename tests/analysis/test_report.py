"""The report: what it says, what it refuses, and that it asks nothing of a network."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import soundfile

from analysis.report.__main__ import ReportConfig, write_report
from analysis.report.drawings import draw_learning_curve
from analysis.report.inline_svg import inlined
from analysis.report.leaderboard import (
    comparisons,
    difference_board,
    distinctions,
    scale_around,
    species_board,
)
from analysis.report.page import TEMPLATES
from analysis.report.selection import select
from analysis.report.soundscapes import Decided, Excerpt, choose_excerpts, lanes_of, read_decided
from analysis.runs import find_runs
from core.config import MixupConfig, ValidConfig
from core.files import write_atomically
from core.scoring.evaluation import evaluate
from tests.analysis.conftest import MakeRun, invent_predictions
from tests.programs import refusal, run_program

ROOT = Path(__file__).parents[2]
FEW = ValidConfig(num_resamples=200)
ADDRESSES = {"src", "href", "srcset", "poster", "action", "data", "background"}


class Addresses(HTMLParser):
    """Everything that a page points to, and the tags that it is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attrs if name in ADDRESSES]
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]


def read(path: Path) -> tuple[str, Addresses]:
    html = path.read_text()
    parser = Addresses()
    parser.feed(html)
    return html, parser


def write_soundscapes(folder: Path, *, number: int = 2, seconds: float = 10.0) -> dict[str, Path]:
    """Write tones with the tables that `core.inference` makes of them: akiapo in each first window."""
    sounds = folder / "sounds"
    sounds.mkdir(parents=True)
    names, windows = [f"tone_{i}" for i in range(number)], int(seconds // 5)
    for i, name in enumerate(names):
        wave = 0.3 * np.sin(2 * np.pi * (1000 + 500 * i) * np.arange(int(32000 * seconds)) / 32000)
        soundfile.write(sounds / f"{name}.wav", wave, 32000)
    rows = [(name, 5 * (w + 1), 0.9 if w == 0 else 0.1, 0.2) for name in names for w in range(windows)]
    table = pd.DataFrame(rows, columns=["file_id", "end_time", "akiapo", "aniani"])
    table.to_parquet(folder / "p.parquet", index=False)
    targets = {f"{n}_{code}_{end}": False for n, end, *_ in rows for code in ("akiapo", "aniani")}
    found = targets | {f"{name}_akiapo_5": True for name in names}
    true = targets | {"tone_0_akiapo_5": True, "tone_0_aniani_10": True}
    for file, content in (("submission", found), ("truth", true)):
        table = pd.DataFrame({"row_id": list(content), "target": list(content.values())})
        table.to_csv(folder / f"{file}.csv", index=False)
    return {"soundscapes": sounds, "probabilities": folder / "p.parquet"} | {
        name: folder / f"{name}.csv" for name in ("submission", "truth")
    }


def test_a_page_holds_every_part_and_no_address_but_its_own(make_run: MakeRun, tmp_path: Path) -> None:
    paths = [
        make_run("one", fold="all", valid=FEW),
        make_run("two", fold="all", valid=FEW, mixup=MixupConfig(alpha=0.4)),
    ]
    given: Any = {name: str(path) for name, path in write_soundscapes(tmp_path / "scapes").items()}
    out = tmp_path / "report.html"
    write_report(ReportConfig(runs=tuple(map(str, paths)), out=str(out), **given))
    html, parser = read(out)
    for part in ("leaderboard", "curves", "details", "soundscapes", "settings", "environment", "left-out"):
        assert f'<section id="{part}"' in html
    assert "mixup.alpha" in html
    assert all(address.startswith(("#", "data:")) for address in parser.found)
    assert not parser.handlers
    assert "default-src &#39;none&#39;" in html
    assert parser.tags.count("audio") == 2
    assert len(html) < 15e6


def test_each_table_of_predictions_is_read_once(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    paths = [str(make_run(name, valid=FEW)) for name in ("one", "two")]
    read: list[str] = []

    def counted(file: Path, **words: Any) -> pd.DataFrame:
        read.append(str(file))
        return read_parquet(file, **words)

    read_parquet = pd.read_parquet
    monkeypatch.setattr(pd, "read_parquet", counted)
    write_report(ReportConfig(runs=(str(tmp_path / "outputs"),), out=str(tmp_path / "report.html")))
    assert sorted(read) == sorted(f"{path}/predictions.parquet" for path in paths)


def test_planned_comparisons_come_first_and_the_rest_is_marked(make_run: MakeRun, tmp_path: Path) -> None:
    paths = [make_run(name, fold="all", valid=FEW) for name in ("one", "two", "three")]
    plan = tmp_path / "plan.yaml"
    plan.write_text("metric: macro_auc\nmargin: 0.02\ncomparisons:\n  - [one, three]\n")
    out = tmp_path / "report.html"
    write_report(ReportConfig(runs=tuple(map(str, paths)), out=str(out), plan=str(plan)))
    html, _ = read(out)
    listed = html[
        html.index('<ul class="planned">') : html.index("</ul>", html.index('<ul class="planned">'))
    ]
    assert listed.count("<li>") == 1
    assert "three" in listed
    assert "two" not in listed
    assert "written" in html[html.index("Plan ") : html.index('<ul class="planned">')]
    assert html.index('id="planned"') < html.index("Not planned, looked at after the fact.")
    plan.write_text("metric: macro_auc\ncomparisons:\n  - [one, four]\n")
    with pytest.raises(ValueError, match="four"):
        write_report(ReportConfig(runs=tuple(map(str, paths)), out=str(out), plan=str(plan)))


@pytest.fixture
def hostile_run(make_run: MakeRun) -> Path:
    """Return a run whose species and settings try to be markup."""
    species = ("<script>", '"><img src=x onerror=a>', "</script>")
    table = invent_predictions((0,), species=species)
    path = make_run("<b>bold<b>", predictions=table.assign(author="</style>"), valid=FEW)
    config = json.loads((path / "config.json").read_text())
    config["data"]["root"] = "</pre><iframe>"
    write_atomically(path / "config.json", json.dumps(config))
    return path


def test_what_runs_are_called_never_becomes_markup(hostile_run: Path, tmp_path: Path) -> None:
    write_report(ReportConfig(runs=(str(hostile_run),), out=str(tmp_path / "report.html"), title="<u>"))
    html, parser = read(tmp_path / "report.html")
    assert parser.tags.count("script") == 2  # the data and the program
    assert not {"b>", "u", "iframe", "img"} & set(parser.tags)
    assert "&lt;script&gt;" in html
    assert not parser.handlers


def test_runs_apart_and_unfinished_ones_are_shown_with_the_reason(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("one", valid=FEW)
    make_run("two", valid=FEW)
    make_run("other", valid=FEW, predictions=invent_predictions((1,)))
    make_run("empty", fold=None, predictions=invent_predictions((0,)).iloc[:0])
    make_run("late", finished=False)
    (make_run("broken") / "predictions.parquet").write_text("no table")
    chosen = select([tmp_path / "outputs", tmp_path / "nowhere"])
    assert [[run.config["name"] for run in group.runs] for group in chosen.groups] == [
        ["one", "two"],
        ["other"],
        ["empty"],
    ]
    assert "0 in common" in chosen.groups[1].reason
    assert "nothing was validated" in chosen.groups[2].reason
    refused = "\n".join(chosen.refused)
    assert "late/20260101-000000-aaaa-fold0: not finished" in refused
    assert "broken/20260101-000000-aaaa-fold0: not readable" in refused
    assert "nowhere: no such folder" in refused
    write_report(ReportConfig(runs=(str(tmp_path / "outputs"),), out=str(tmp_path / "report.html")))
    html = (tmp_path / "report.html").read_text()
    assert "cannot stand beside it" in html
    assert "not finished, it has no summary.json" in html


def test_a_run_of_all_folds_without_its_folds_is_refused(make_run: MakeRun) -> None:
    path = make_run(fold="all")
    shutil.rmtree(path.with_name(path.name.replace("-all", "-fold1")))
    with pytest.raises(ValueError, match=r"its folds 20260101-000000-aaaa-fold1 are missing beside it"):
        select([path])


def test_nothing_left_to_show_is_an_error_with_every_reason(make_run: MakeRun, tmp_path: Path) -> None:
    path = make_run(finished=False)
    with pytest.raises(ValueError, match=r"nothing to report(.|\n)*not finished(.|\n)*no such folder"):
        select([path, tmp_path / "nowhere"])


def test_a_run_is_better_only_where_the_difference_is_found(make_run: MakeRun) -> None:
    paths = [
        make_run("blind", valid=FEW, predictions=invent_predictions((0,), skill=0.0)),
        make_run("again", valid=FEW, predictions=invent_predictions((0,), skill=0.0)),
        make_run("skilled", valid=FEW, predictions=invent_predictions((0,), skill=6.0)),
    ]
    (group,) = select(paths).groups
    evaluations = {run.name: evaluate(run.predictions, run.valid) for run in group.runs}
    found = difference_board(comparisons(group, evaluations))
    assert [label for label, _ in found["columns"]] == ["macro ROC-AUC", "2022 score", "padded cmAP"]
    assert len(found["rows"]) == 3
    for one in (one for row in found["rows"] for one in row):
        if one.run.startswith("skilled") or one.base.startswith("skilled"):
            assert one.is_distinguishable
            assert (one.difference.value > 0) == one.run.startswith("skilled")
        else:
            assert (one.difference.value, one.p_corrected, one.is_distinguishable) == (0.0, 1.0, False)
    assert (found["num_found"], found["num_all"]) == (6, 9)


def test_runs_of_one_name_are_told_apart_by_their_settings(make_run: MakeRun) -> None:
    paths = [make_run(stamp=f"20260101-00000{i}-aaaa", mixup=MixupConfig(alpha=i + 1.0)) for i in range(2)]
    runs = find_runs(paths)
    assert [run.name for run in runs] == [f"timm_007, fold 0, mixup.alpha={i}" for i in (1, 2)]
    assert distinctions(runs) == ["", ""]
    mixups = [MixupConfig(alpha=1.0 + i, probability=0.25 * i, selective_strength=0.5 * i) for i in range(2)]
    many = find_runs(
        [make_run(stamp=f"20260102-00000{i}-aaaa", mixup=mixup) for i, mixup in enumerate(mixups)]
    )
    assert distinctions(many)[1] == "mixup.alpha 2, mixup.probability 0.25 and 1 more"


def test_species_without_positives_are_named_not_scored(make_run: MakeRun) -> None:
    table = invent_predictions((0,))
    table["truth:apapan"] = False
    (run,) = find_runs([make_run(predictions=table)])
    found = species_board(evaluate(run.predictions, ValidConfig()), run.taxonomy)
    assert found["left_out"] == ["apapan"]
    (row,) = [row for row in found["rows"] if row["species"] == "apapan"]
    assert row["positives"] == row["recordings"] == 0
    assert np.isnan(row["cells"][0].value)
    assert [row["recordings"] for row in found["rows"][:2]] == [4, 4]


def test_scales_end_at_round_numbers_around_the_data() -> None:
    scale = scale_around([0.61, 0.53, 0.69], reference=0.5)
    assert (scale.low, scale.high) == (0.5, 0.7)
    assert [scale.place(value) for value in (0.4, 0.6, 0.7)] == [0.0, 0.5, 1.0]
    assert scale_around([0.91, 0.9, np.nan], reference=0.5).reference is None, "too far away"


def test_a_figure_in_the_page_has_its_ids_its_colours_and_the_numbers_behind_its_lines() -> None:
    folds: list[dict[int, float]] = [{1: 0.5, 2: 0.7, 4: 0.8}, {1: 0.7, 2: 0.7, 3: 0.1}]
    figure = draw_learning_curve({"$ & <b>": folds, "two": [{2: 0.25}]}, chance=0.5, has_legend=False)
    svg, readout = inlined(figure, "one")
    root = ElementTree.fromstring(svg)
    elements = list(root.iter())
    ids = [element.attrib["id"] for element in elements if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("one-") for name in ids)
    pointed = re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg)
    assert pointed
    assert set(pointed) <= set(ids)
    assert not [element for element in elements if "style" in element.attrib or "onload" in element.attrib]
    assert {"var(--c0)", "var(--c1)", "var(--soft)", "var(--ink)"} <= {
        element.attrib.get(kind, "") for element in elements for kind in ("stroke", "fill")
    }
    assert "#0072b2" not in svg.lower()
    assert readout["label"] == "epoch"
    first, second = readout["lines"]
    assert (first["name"], first["x"], first["y"]) == ("$ & <b>", [1.0, 2.0], [0.6, 0.7])
    assert (second["colour"], second["x"], second["y"]) == (1, [2.0], [0.25])
    assert first["pixels"][1] == second["pixels"][0]
    assert 0 < first["pixels"][0] < first["pixels"][1] < readout["width"]


def excerpts(
    given: dict[str, Path], number: int = 9, longest: float = 60.0, num_bytes: int = 1 << 24
) -> tuple[Decided, list[Excerpt], list[str]]:
    decided = read_decided(given["probabilities"], given.get("submission"), given.get("truth"))
    found = choose_excerpts(
        given["soundscapes"], decided, number=number, longest=longest, num_bytes=num_bytes
    )
    return decided, *found


def test_windows_are_hits_misses_and_false_alarms(tmp_path: Path) -> None:
    decided, shown, notes = excerpts(write_soundscapes(tmp_path))
    assert [one.name for one in shown] == ["tone_0", "tone_1"]
    assert not notes
    found = [lanes_of(one, decided) for one in shown]
    assert [(f["hits"], f["misses"], f["alarms"]) for f in found] == [(1, 1, 0), (0, 0, 1)]
    assert list(found[0]["lanes"]) == ["akiapo", "aniani"]
    assert found[1]["silent"] == ["aniani"]
    (detection,) = found[1]["detections"]
    assert (detection["times"], detection["kind"]) == ("0:00\N{EN DASH}0:05", "false alarm")


def test_windows_that_nobody_judged_are_neither_right_nor_false(tmp_path: Path) -> None:
    given = write_soundscapes(tmp_path)
    del given["submission"], given["truth"]
    decided, shown, _ = excerpts(given, number=1)
    found = lanes_of(shown[0], decided)
    assert not found["has_truth"]
    assert {window.kind for lane in found["lanes"].values() for window in lane} == {"detected", "quiet"}


def test_what_does_not_fit_is_left_out_and_counted(tmp_path: Path) -> None:
    given = write_soundscapes(tmp_path)
    _, shown, notes = excerpts(given, number=1)
    assert [one.name for one in shown] == ["tone_0"]  # two true windows and a detection
    assert "1 of 2 are left out" in notes[0]
    size = shown[0].num_bytes
    _, shown, notes = excerpts(given, num_bytes=10)
    assert not shown
    assert "2 of 2 are left out" in notes[0]
    _, shown, _ = excerpts(given, num_bytes=int(1.5 * size))
    assert len(shown) == 1
    (given["soundscapes"] / "tone_1.wav").write_bytes(b"RIFF, not really")
    (given["soundscapes"] / "tone_0.wav").unlink()
    _, shown, notes = excerpts(given)
    assert not shown
    assert "tone_1.wav cannot be played" in notes[0]
    assert "1 file of the probabilities not in" in notes[1]


def test_of_a_long_soundscape_the_part_where_most_is_heard_is_shown(tmp_path: Path) -> None:
    given = write_soundscapes(tmp_path, number=1, seconds=30.0)
    table = pd.read_parquet(given["probabilities"])
    table.loc[3:4, "aniani"] = 0.95
    table.to_parquet(given["probabilities"])
    del given["submission"], given["truth"]
    decided, shown, _ = excerpts(given, longest=10.0)
    assert (shown[0].start, shown[0].seconds) == (15.0, 10.0)
    assert shown[0].windows.tolist() == [3, 4]
    (lane,) = lanes_of(shown[0], decided)["lanes"].values()
    assert [(window.left, window.width) for window in lane] == [(0.0, 50.0), (50.0, 50.0)]


def test_each_figure_can_be_a_file_with_its_caption(make_run: MakeRun, tmp_path: Path) -> None:
    paths = (str(make_run("one", valid=FEW)), str(make_run("two", valid=FEW)))
    write_report(ReportConfig(runs=paths, format="svg", out=str(tmp_path / "figures")))
    names = {file.name for file in (tmp_path / "figures").iterdir()}
    assert names >= {"curve-valid-macro-auc.svg", "threshold-1.svg", "reliability-2.svg"}
    assert names >= {"leaderboard.svg", "differences.svg", "species-1.svg"}
    threshold = (tmp_path / "figures" / "threshold-1.svg").read_text()
    assert "95% interval over recordings" in " ".join(threshold.split())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probabilities": None}, "soundscapes and probabilities: name both, or neither"),
        ({"probabilities": "absent.parquet"}, "probabilities=absent.parquet: no such file"),
        ({"probabilities": __file__}, r"test_report\.py, line .* cells for 1 columns"),
        ({"truth": "absent.csv"}, "truth=absent.csv: no such file"),
        ({"out": "report.txt"}, r"out=report.txt: the name must end in \.html"),
        ({"format": "png", "out": "report.html"}, "out=report.html: --format=png wants a folder"),
        ({"num_soundscapes": 0}, "num_soundscapes=0: at least 1"),
        ({"soundscapes": "absent"}, "soundscapes: absent does not exist"),
    ],
)
def test_a_mistake_is_named(
    make_run: MakeRun, tmp_path: Path, change: dict[str, str | int | None], message: str
) -> None:
    given: Any = {name: str(path) for name, path in write_soundscapes(tmp_path / "s", seconds=5.0).items()}
    with pytest.raises(ValueError, match=message):
        write_report(
            ReportConfig(**{"runs": (str(make_run()),), "out": str(tmp_path / "r.html"), **given, **change})
        )


def test_the_program_prints_one_line_for_a_mistake_and_one_for_a_page(
    make_run: MakeRun, tmp_path: Path
) -> None:
    assert refusal("analysis.report", tmp_path / "nowhere").startswith("error: nothing to report")
    out = tmp_path / "report.html"
    assert run_program("analysis.report", make_run(valid=FEW), "--out", out).startswith(f"{out}: 1 run, ")


def test_every_file_of_the_template_is_package_data() -> None:
    import tomllib

    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folder = ROOT / "analysis" / "report"
    packed = {file for pattern in patterns["analysis.report"] for file in folder.glob(pattern)}
    kept = {file for file in folder.rglob("*") if file.is_file() and file.suffix not in {".py", ".pyc"}}
    assert kept
    assert packed == kept
    assert (TEMPLATES / "page.js").is_file()

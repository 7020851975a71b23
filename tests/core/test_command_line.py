"""What a command line becomes: overrides, which data, which schedule, resume."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.command_line import parse_arguments, parse_config
from core.config import Config, DataConfig, TimmConfig
from core.config_values import flatten, from_dict, to_dict
from core.data.demo import build
from core.schedule import changes, shorten
from experiments.timm_013.config import CONFIG as STUDENT

DEFAULT = Config(name="trial", epochs=40, model=TimmConfig(backbone="eca_nfnet_l0"))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start where there is no data; a demo that is generated there is a tiny one."""
    monkeypatch.chdir(tmp_path)
    tiny = build.tiny_plan()
    monkeypatch.setattr(build, "DemoPlan", lambda: tiny)


def test_nested_parameters_of_a_sweep_are_made_flat() -> None:
    words = ["--mixup={'alpha': 0.25, 'probability': 1.0}", "--data={'noise': {'max_snr_db': 9.0}}"]
    config = parse_arguments(DEFAULT, words)
    assert (config.mixup.alpha, config.mixup.probability, config.data.noise.max_snr_db) == (0.25, 1.0, 9.0)


def test_every_path_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    words = [
        "--output_dir=~/runs",
        "--data.root=~",
        "--data.cache=~/cache",
        "--data.extra_roots=['~/2021', 'b']",
    ]
    config = parse_arguments(DEFAULT, [*words, "--data.noise.folders=['~/rain']"])
    data = config.data
    assert (config.output_dir, data.root, data.cache) == ("/home/ada/runs", "/home/ada", "/home/ada/cache")
    assert (data.extra_roots, data.noise.folders) == (["/home/ada/2021", "b"], ["/home/ada/rain"])
    assert parse_arguments(STUDENT, ["--teachers=['~/a']"]).teachers == ["/home/ada/a"]


def test_the_syntax_of_wandb_agents() -> None:
    words = (
        "--mixup.alpha=0.4",
        "--data.use_ratings=False",
        "--features.f_max_hz=None",
        "--data.fold=all",
        "--data.extra_roots=['a', 'b']",
        "--optim.betas=(0.9, 0.98)",
        "--optim.lr=1e-4",
        "--resume",
    )
    config = parse_arguments(DEFAULT, words)
    assert config.mixup.alpha == 0.4
    assert config.data.use_ratings is False
    assert config.features.f_max_hz is None
    assert config.data.fold == "all"
    assert config.data.extra_roots == ["a", "b"]
    assert config.optim.betas == (0.9, 0.98)
    assert config.optim.lr == 1e-4
    assert config.resume == "last"


@pytest.mark.parametrize(
    ("word", "field"),
    [
        ("--data.fold=7", "data.fold=7"),
        ("--data.clip_seconds=7", "data.clip_seconds=7"),
        ("--mixup.alpha=-1", "mixup.alpha=-1"),
        ("--mixup.alhpa=0.4", "mixup.alpha"),
        ("--precision=half", "precision"),
        ("--data.noise.min_snr_db=9", "data.noise.min_snr_db=9"),
        ("--features.f_max_hz=20000", "features.f_max_hz=20000"),
        ("--optim.accumulation=5", "optim.accumulation=5"),
        ("--epochs=0", "epochs=0"),
    ],
)
def test_a_mistake_names_its_field_and_exits_with_2(
    word: str, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        parse_config(DEFAULT, [word])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert field in line


def test_help_documents_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(DEFAULT, ["--help"])
    shown = capsys.readouterr().out
    for name in flatten(DEFAULT):
        assert f"--{name}" in shown


def test_a_root_that_does_not_exist_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse_config(DEFAULT, ["--data.root=data/birdclef-2202"])
    assert stop.value.code == 2
    assert "data.root=data/birdclef-2202: no such folder" in capsys.readouterr().err


@pytest.mark.slow
def test_without_a_root_the_competition_then_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    config = parse_config(DEFAULT, [])
    assert config.data.root is not None
    assert config.data.root.startswith("data/demo")
    assert (Path(config.data.root) / "train_metadata.csv").is_file()
    assert config.schedule == "demo"
    assert "GENERATED demo data" in capsys.readouterr().out
    Path("data/birdclef-2022").mkdir(parents=True)
    config = parse_config(DEFAULT, [])
    assert config.data.root == "data/birdclef-2022"
    assert config.schedule == "full"
    valid = replace(DEFAULT.valid, metric="macro_auc")
    data = replace(DEFAULT.data, root="data/birdclef-2022")
    assert config == replace(DEFAULT, schedule="full", data=data, valid=valid)


def test_the_demo_schedule_says_what_it_changed_and_spares_what_was_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = parse_config(DEFAULT, ["--epochs=33", "--model.backbone=test_efficientnet"])
    assert config.epochs == 33
    assert config.model == TimmConfig(backbone="test_efficientnet", pretrained=True)
    shown = capsys.readouterr().out
    assert "data.clip_seconds: 30.0 -> " in shown
    assert "; epochs:" not in shown


@pytest.mark.slow
def test_an_older_year_that_is_not_there_is_generated_too() -> None:
    default = replace(DEFAULT, data=DataConfig(extra_roots=["data/birdclef-2021"]))
    config = parse_config(default, [])
    (older,) = config.data.extra_roots
    assert older != config.data.root
    assert (Path(older) / "train_metadata.csv").is_file()


def test_schedule_full_on_demo_data_changes_nothing(tiny_demo: Path) -> None:
    config = parse_config(DEFAULT, ["--schedule=full", f"--data.root={tiny_demo}"])
    assert config.valid.metric == "score"
    data = replace(config.data, root=None)
    assert replace(config, data=data, valid=DEFAULT.valid, schedule="auto") == DEFAULT


def test_the_main_metric_is_that_of_the_year_unless_another_is_given(tmp_path: Path) -> None:
    (tmp_path / "train_metadata.csv").touch()
    (tmp_path / "eBird_Taxonomy_v2021.csv").touch()
    root = f"--data.root={tmp_path}"
    for words in ([root], [root, "--schedule=demo"]):
        assert parse_config(DEFAULT, words).valid.metric == "padded_cmap"
        assert parse_config(DEFAULT, [*words, "--valid.metric=top1"]).valid.main_metric == "top1"


def test_the_demo_schedule_takes_what_learns_in_few_steps() -> None:
    assert DEFAULT.loss.kind == "focal"
    short = shorten(DEFAULT)
    assert (short.loss.kind, short.loss.label_smoothing) == ("bce", 0.0)
    assert short.mixup == replace(DEFAULT.mixup, probability=0.0)
    assert short.mixup.selective_probability > 0
    assert set(short.data.noise.probabilities) == {0.0}
    assert short.spec_augment.probability == 0
    assert short.data.batch_size < DEFAULT.data.batch_size
    random = shorten(replace(DEFAULT, model=TimmConfig(pretrained=False)))
    assert short.epochs < random.epochs <= DEFAULT.epochs


def test_schedule_demo_shortens_any_data(tmp_path: Path) -> None:
    config = parse_config(DEFAULT, [f"--data.root={tmp_path}", "--schedule=demo"])
    assert config.epochs == shorten(DEFAULT).epochs
    assert changes(DEFAULT, DEFAULT) == []


def test_a_folder_that_calls_itself_a_demo_is_one(tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text("{}")
    assert parse_config(DEFAULT, [f"--data.root={tmp_path}"]).schedule == "demo"


def test_a_configuration_survives_json() -> None:
    config = replace(DEFAULT, data=DataConfig(fold="all", extra_roots=["x"]))
    assert from_dict(DEFAULT, json.loads(json.dumps(to_dict(config)))) == config


def test_resume_takes_the_stored_configuration_and_refuses_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_config(DEFAULT, ["--resume"])
    assert "no run of trial" in capsys.readouterr().err
    run = tmp_path / "outputs/trial/20260101-000000-abcd-fold0"
    run.mkdir(parents=True)
    stored = parse_config(DEFAULT, ["--epochs=3"])
    (run / "config.json").write_text(json.dumps(to_dict(stored)))
    assert parse_config(DEFAULT, ["--resume"]) == replace(stored, resume="last")
    assert parse_config(DEFAULT, ["--resume", "--data.num_workers=2"]).data.num_workers == 2
    with pytest.raises(SystemExit):
        parse_config(DEFAULT, ["--resume", "--epochs=4"])
    assert "--epochs=4 differs" in capsys.readouterr().err

"""What `python -m core.doctor` says of a machine."""

import json
from pathlib import Path

import pytest

from core import doctor


def examined(root: Path | None) -> dict[str, tuple[str, str]]:
    config = doctor.DoctorConfig(root=None if root is None else str(root))
    return {line.topic: (line.state, line.text) for line in doctor.examine(config)}


def test_what_is_there_is_ok_and_what_is_not_says_what_to_do(
    tiny_demo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "answers", lambda url: False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    found = examined(tiny_demo)
    assert found["packages"][0] == "ok"
    assert found["data"] == ("ok", f"{tiny_demo}: BirdCLEF 2022, 20 recordings, 6 species, 3 scored")
    assert found["waiting"] == (
        "note",
        "OMP_WAIT_POLICY=ACTIVE: unset it, or other programs wait for idle threads",
    )
    assert found["hub"][0] == "note"
    assert "tf_efficientnet_lite0" in found["hub"][1]
    assert found["ffmpeg"] == ("note", "not installed; M4A, AAC, WMA need it")
    assert "runs generate a demo" in examined(None)["data"][1]


@pytest.mark.parametrize("is_json", [False, True])
def test_a_fault_is_status_1(
    is_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "answers", lambda url: True)
    with pytest.raises(SystemExit) as stopped:
        doctor.print_findings(doctor.DoctorConfig(root=str(tmp_path / "gone"), json=is_json))
    assert stopped.value.code == 1
    printed = capsys.readouterr().out
    told = [str(line) for line in (json.loads(printed) if is_json else printed.splitlines())]
    (fault,) = [line for line in told if "fault" in line]
    assert "gone" in fault

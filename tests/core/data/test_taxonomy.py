"""Names of species."""

from pathlib import Path

import pytest

from core.data.taxonomy import Taxonomy, read_taxonomy

BIRDS = Taxonomy.of(
    ["grekis", "22961", "x1", "x2"],
    ["Pitangus sulphuratus", "Leptodactylus podicipinus", "", ""],
    ["Great Kiskadee", "Pointedbelly Frog", "Twin", "Twin"],
    ["Aves", "Amphibia", "", ""],
)


def test_names_of_any_kind_and_case_lead_to_the_code() -> None:
    names = ("grekis", " GREKIS", "pitangus Sulphuratus", "great kiskadee ")
    assert [BIRDS.match(name) for name in names] == ["grekis"] * 4
    assert BIRDS.match("22961") == "22961"
    assert BIRDS.match("Twin") is None, "two species are called so"
    assert BIRDS.match("kiskadee") is None
    assert BIRDS.nearest("Great Kiskadees", 2)[0] == "Great Kiskadee (grekis)"


def test_a_code_without_names_is_shown_as_it_is() -> None:
    assert [BIRDS.label(code) for code in ("22961", "other")] == ["Pointedbelly Frog (22961)", "other"]


def test_names_are_brought_into_an_order_and_completed() -> None:
    ordered = BIRDS.with_codes(["z", "x1", "grekis"], Taxonomy.of(["x1", "z"], ["Sci x", "Sci z"]))
    assert ordered.codes == ("z", "x1", "grekis")
    assert ordered.scientific == ("Sci z", "Sci x", "Pitangus sulphuratus")
    assert ordered.common == ("", "Twin", "Great Kiskadee")
    assert len(BIRDS.with_codes([])) == 0


@pytest.mark.parametrize(
    ("content", "group"),
    [
        ("primary_label,scientific_name,common_name,class_name\n001,Sci a,Com a,Insecta\n", "Insecta"),
        ("SPECIES_CODE,PRIMARY_COM_NAME,SCI_NAME\n001,Com a,Sci a\n", "Aves"),
        ("code;common;scientific\n001;Com a;Sci a\n", ""),
    ],
)
def test_tables_of_several_makers_are_read(tmp_path: Path, content: str, group: str) -> None:
    (tmp_path / "taxonomy.csv").write_text(content)
    found = read_taxonomy(tmp_path / "taxonomy.csv")
    assert found == Taxonomy(("001",), ("Sci a",), ("Com a",), (group,))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("genus,x\na,b\n", "no column of codes such as primary_label; found genus, x"),
        ("code\na\na\n", "line 3: 'a' is there twice"),
        ("code,common\na,\n,b\n", "line 3: column code is blank"),
    ],
)
def test_a_table_that_is_no_taxonomy_says_why(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "taxonomy.csv").write_text(content)
    with pytest.raises(ValueError, match=rf"taxonomy\.csv.*{message}"):
        read_taxonomy(tmp_path / "taxonomy.csv")

"""The names of species: code, scientific and common name, and the group such as Aves."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from core.config import require
from core.data.tables import line_of, read_table

_COLUMNS = {
    "codes": ("primary_label", "species_code", "ebird_code", "code", "species"),
    "scientific": ("scientific_name", "sci_name", "scientific name", "scientific"),
    "common": ("common_name", "primary_com_name", "common name", "common"),
    "group": ("class_name", "class"),
}
"""Field -> names of its column in the tables that are known, of any case."""
_EBIRD_CODE = "species_code"


@dataclass(frozen=True)
class Taxonomy:
    """Names of species, one entry of each tuple a species; "" where a name is not known.

    Attributes
    ----------
    codes
        What labels and columns are called, each once.
    scientific, common
        Names.
    group
        Such as Aves or Amphibia.
    """

    codes: tuple[str, ...] = ()
    scientific: tuple[str, ...] = ()
    common: tuple[str, ...] = ()
    group: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the names belong together."""
        assert len(self.codes) == len(self.scientific) == len(self.common) == len(self.group)
        assert len(set(self.codes)) == len(self.codes), "a code is there twice"

    @classmethod
    def of(
        cls, codes: Sequence[str], scientific: Sequence[str] = (), common: Sequence[str] = (),
        group: Sequence[str] = (),
    ) -> "Taxonomy":  # fmt: skip
        """Return a taxonomy of these codes; an empty sequence of names stands for unknown ones.

        Parameters
        ----------
        codes, scientific, common, group
            The attributes of these names.
        """
        unknown = [""] * len(codes)
        return cls(*(tuple(names) or tuple(unknown) for names in (codes, scientific, common, group)))

    @cached_property
    def _position(self) -> dict[str, int]:
        return {code: position for position, code in enumerate(self.codes)}

    @cached_property
    def _codes_by_name(self) -> dict[str, set[str]]:
        """Every name, without case -> the codes that have it."""
        found: dict[str, set[str]] = {}
        for code, *names in zip(self.codes, self.codes, self.scientific, self.common, strict=True):
            for name in filter(None, names):
                found.setdefault(name.strip().casefold(), set()).add(code)
        return found

    def __len__(self) -> int:
        """Return the number of species."""
        return len(self.codes)

    def names(self, code: str) -> tuple[str, str, str]:
        """Return scientific name, common name and group of a code, "" where they are not known."""
        position = self._position.get(code)
        if position is None:
            return "", "", ""
        return self.scientific[position], self.common[position], self.group[position]

    def label(self, code: str) -> str:
        """Return how a species is shown: "Great Kiskadee (grekis)", or the code where it has no name.

        Examples
        --------
        >>> Taxonomy.of(["grekis"], common=["Great Kiskadee"]).label("grekis")
        'Great Kiskadee (grekis)'
        """
        scientific, common, _ = self.names(code)
        name = common or scientific
        return f"{name} ({code})" if name and name != code else code

    def match(self, name: str) -> str | None:
        """Return the code that is called so: by code, scientific or common name, of any case.

        None where no species is, or where several are; a code as written goes before other names.
        """
        if name in self._position:
            return name
        codes = self._codes_by_name.get(name.strip().casefold(), set())
        return next(iter(codes)) if len(codes) == 1 else None

    def nearest(self, name: str, number: int = 3) -> list[str]:
        """Return the labels of the species whose names are most like `name`, at most `number`."""
        close = difflib.get_close_matches(name.strip().casefold(), self._codes_by_name, number)
        codes = [code for found in close for code in sorted(self._codes_by_name[found])]
        return [self.label(code) for code in dict.fromkeys(codes)][:number]

    def with_codes(self, codes: Sequence[str], *others: "Taxonomy") -> "Taxonomy":
        """Return the names of these species in this order.

        Parameters
        ----------
        codes
            Species, each once; unknown ones have no names.
        others
            Know names that this taxonomy lacks; an earlier one goes before a later one.
        """
        columns: list[list[str]] = [[], [], []]
        for code in codes:
            known = [one.names(code) for one in (self, *others)]
            for column, names in zip(columns, zip(*known, strict=True), strict=True):
                column.append(next(filter(None, names), ""))
        return Taxonomy.of(codes, *columns)


def read_taxonomy(file: Path) -> Taxonomy:
    """Read a competition's taxonomy.csv, eBird's taxonomy, or any table with a column of codes.

    Raises
    ------
    ValueError
        If it has no column of codes, or a code is blank or there twice.
    """
    table = read_table("", file)
    columns = {field: _column(table, names) for field, names in _COLUMNS.items()}
    code = columns["codes"]
    if code is None:
        message = (
            f"{file}: no column of codes such as {_COLUMNS['codes'][0]}; found {', '.join(table.columns)}"
        )
        raise ValueError(message)
    blank = table.index[table[code].str.strip() == ""]
    require(not len(blank), f"{line_of(file, next(iter(blank), 0))}: column {code} is blank; write the code")
    twice = table.index[table[code].duplicated()]
    if len(twice):
        message = (
            f"{line_of(file, twice[0])}: {table[code][twice[0]]!r} is there twice; keep one row a species"
        )
        raise ValueError(message)
    names = {field: table[name].tolist() for field, name in columns.items() if name is not None}
    if code.casefold() == _EBIRD_CODE:
        names["group"] = ["Aves"] * len(table)
    return Taxonomy.of(**names)


def _column(table: pd.DataFrame, names: Sequence[str]) -> str | None:
    """Return the first column with one of these names, of any case."""
    by_name: Mapping[str, str] = {str(column).casefold(): str(column) for column in table.columns}
    return next((by_name[name] for name in names if name in by_name), None)

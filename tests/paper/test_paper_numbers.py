"""The paper's numbers: those of every table and figure, as they are printed."""

import pytest

from gat_lightning.reporting.paper.published import parse, published
from support.paper_sweeps import IDS


def numbers(table: str, row: str) -> list[str | None]:
    (found,) = (each for each in published(table).rows if each.name == row)
    return [None if cell is None else cell.text for cell in found.cells]


def test_there_are_numbers_of_every_table_and_figure_with_results() -> None:
    tables = [f"table{number}" for number in (*range(1, 6), *range(8, 18))]
    assert [f"figure{number}" for number in (1, 3, 4, 5, 6)] + tables == IDS
    for name in IDS:
        table = published(name)
        assert table.id == name
        assert table.caveats
        assert all(len(row.cells) == len(table.columns) for row in table.rows)
        assert len({row.name for row in table.rows}) == len(table.rows)


def test_numbers_that_the_paper_prints_more_than_once_agree() -> None:
    robust, clean = numbers("table1", "None")[:4], numbers("table1", "None")[4:]
    single = [f"{each}".partition("±")[0] for each in (*clean, *robust)]  # none, jigsaw, macro, rotation
    assert numbers("table2", "Macro Task + MGDA (Ours)") == [single[2], single[6]]
    for place, name in ((1, "Jigsaw"), (2, "Macro"), (3, "Rotation")):
        assert numbers("table3", f"Main only / {name}") == [single[place], single[4 + place]]
        assert numbers("table15", f"Target + {name}") == [single[4 + place]]
    assert numbers("table11", "GAT [Ours]") == [single[6], single[2]]
    assert numbers("table11", "Madry Adversarial Training (Madry et al., 2017b)") == [single[4], single[0]]
    assert numbers("table5", "CIFAR10 / No auxiliary") == [single[0], single[4]]
    assert numbers("table12", "T_2: Goodfellow AT") == numbers("table13", "T_2 / Equal")
    assert numbers("table12", "T_1: Standard training") == numbers("table13", "T_1 / Equal")
    assert numbers("table16", "CIFAR-10 / 100% Dataset") == numbers("table4", "AutoAttack")


def test_figures_repeat_their_tables() -> None:
    assert published("figure3").rows == published("table11").rows
    assert published("figure5").rows == published("table15").rows
    assert [row.name.split(" / ")[0] for row in published("figure4").rows] == ["Atelectasis"] * 7 + ["Edema"] * 7
    assert all(row in published("table10").rows for row in published("figure4").rows)


def test_a_number_keeps_its_digits_and_its_spread() -> None:
    cell = published("table1").rows[1].cells[5]
    assert cell is not None
    assert (cell.text, cell.value, cell.spread) == ("60.53±1.10", 60.53, 1.1)
    assert numbers("table13", "T_1 / GAT [Ours]") == ["41.65", "93.89", "70.26", "0.00", "0.24", "4.33"]


HEAD = 'id: x\ntitle: t\ndata: d\ncolumns: [{name: c, unit: "%"}]\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "rows: [{name: r, cells: [1, 2]}]", "row r: 2 cells, and 1 columns"),
        (HEAD + "rows: [{name: r, cells: [much]}]", "row r: 'much' is no number"),
        (HEAD + "rows: [{name: r, cells: [nan]}]", "'nan' is not finite"),
        (HEAD + "rows: [{name: r, cells: [1], setings: []}]", "unknown keys setings"),
        (HEAD + "rows: []", "no rows"),
        ("id: y\n", "its id is y"),
        ("id: x\ntitle: t\nsame_as: table10\nrows: [Fracture]\n", "no row of table10 begins with Fracture"),
    ],
)
def test_damaged_numbers_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text, "x")

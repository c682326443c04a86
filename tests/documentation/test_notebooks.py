"""The notebooks run from start to end, and what is committed of them is what such a run leaves."""

import importlib.util
import itertools
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="the notebooks need an extra: pip install 'gat-lightning[notebooks]'")
pytest.importorskip("nbclient", reason="the notebooks need an extra: pip install 'gat-lightning[notebooks]'")

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = ["1_quick_start", "2_bring_your_own", "3_inside_one_step", "4_reading_a_sweep"]
MOST_BYTES = 400_000
ABSOLUTE = re.compile(r"(?<![\w.>~/-])/(?:[\w.+-]+/)+[\w.+-]*|[A-Z]:\\")
MEASURED = re.compile(r"\d+(?:\.\d+)? ?%|\d\.\d{2,}")
SETTINGS = {"95 %", "0.15"}
"""Numbers that look measured and are not: the level of intervals, and the digits' ε."""

_spec = importlib.util.spec_from_file_location("execute", FOLDER / "execute.py")
execute = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(execute)


def read(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text(output):
    """Everything in an output that can be read."""
    shown = [str(value) for kind, value in output.get("data", {}).items() if not kind.startswith("image/png")]
    return "\n".join([output.get("text", ""), *shown])


def kinds(notebook):
    """What each code cell has put out: streams by their name, else the richest type."""
    return [
        [output.get("name") or sorted(output.get("data", ()))[0] for output in cell.outputs] for cell in code(notebook)
    ]


def check(notebook):
    """What holds for every executed notebook."""
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell, found in zip(cells, kinds(notebook), strict=True):
        where = f"{cell.id}: {cell.source[:60]!r}"
        assert not any(output.output_type == "error" for output in cell.outputs), where
        assert "stderr" not in found, f"{where}: {cell.outputs}"
        draws = "plt.subplots(" in cell.source or cell.source.startswith("Image(")
        expected = ["text/markdown"] if "Markdown(" in cell.source else ["image/png"] * draws
        assert [kind for kind in found if kind != "stdout"] == expected, where
        if "print(" in cell.source and not cell.source.startswith("%%writefile"):
            assert "stdout" in found, where
        for output in cell.outputs:
            assert not ABSOLUTE.search(text(output)), f"{where}: {ABSOLUTE.search(text(output))}"
            assert socket.gethostname() not in text(output), where
            assert "\x1b" not in text(output), where


def test_these_are_the_notebooks():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_notebook_was_executed(name):
    check(read(FOLDER / f"{name}.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_notebook_is_small_and_in_normal_form(name):
    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < MOST_BYTES
    notebook, normal = read(path), read(path)
    nbformat.validate(notebook)
    execute.normalise(normal, "no such folder")
    assert notebook == normal


@pytest.mark.parametrize("name", NAMES)
def test_the_text_claims_no_measured_number_and_its_links_lead_somewhere(name):
    for cell in read(FOLDER / f"{name}.ipynb").cells:
        if cell.cell_type == "markdown":
            assert set(MEASURED.findall(cell.source)) <= SETTINGS, cell.source
            for target in re.findall(r"\]\(([^)#:]+)\)", cell.source):
                assert (FOLDER / target).exists(), target


def test_normal_form_leaves_out_what_differs_between_runs():
    v4 = nbformat.v4
    outputs = [
        v4.new_output("stream", name="stdout", text="Run directory: /tmp/of_run/tmpab12/outputs/x-1\n"),
        v4.new_output("stream", name="stdout", text="epoch 1/2  4.5 min  clean 50.0%\n"),
        v4.new_output("stream", name="stdout", text="After step 20\n  estimate  1 hours\n  memory    2 GiB\nNext:\n"),
        v4.new_output("stream", name="stdout", text="[2026-11-28 23:08:16,599][gat_lightning.x][WARNING] - Hm.\n"),
    ]
    timing = {"execution": {"iopub.status.busy": "2026-01-01T00:00:00Z"}}
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell("f()", outputs=outputs, execution_count=1, metadata=timing)],
        metadata={"language_info": {"name": "python", "version": "3.11.7"}},
    )
    execute.normalise(notebook, "/tmp/of_run")
    (cell,) = notebook.cells
    (stream,) = cell.outputs
    assert (
        stream.text == "Run directory: outputs/x-1\nepoch 1/2  clean 50.0%\nNext:\n[gat_lightning.x][WARNING] - Hm.\n"
    )
    assert cell.metadata == {}
    assert notebook.metadata == execute.METADATA


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output", "nowhere"], "there is no folder 'nowhere'"),
        (["--output", "closed"], "the folder 'closed' is not writable"),
        (["nothing.ipynb"], "there is no file 'nothing.ipynb'"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_runs(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("closed").mkdir()
    monkeypatch.setattr(execute.os, "access", lambda path, mode: False)
    monkeypatch.setattr(execute, "execute", lambda path: pytest.fail("a notebook was run"))
    with pytest.raises(SystemExit) as end:
        execute.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_opens_on_colab_and_installs_what_it_needs(name):
    title, install = read(FOLDER / f"{name}.ipynb").cells[:2]
    site = (FOLDER.parent / "mkdocs.yml").read_text()
    home = re.search(r"^repo_url: https://github.com/(.+)$", site, re.MULTILINE)[1]
    assert f"](https://colab.research.google.com/github/{home}/blob/main/notebooks/{name}.ipynb)" in title.source
    assert re.search(r"\btakes [\w ]+ minutes\b", title.source)
    assert 'if find_spec("gat_lightning") is None:' in install.source
    assert f' @ git+https://github.com/{home}"' in install.source


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_sharp_and_followed_by_how_to_read_it(name):
    cells = read(FOLDER / f"{name}.ipynb").cells
    assert any('rcParams["figure.dpi"] = 110' in cell.source for cell in cells)
    for cell, following in itertools.pairwise(cells):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", ())):
            assert following.cell_type == "markdown", cell.id
            assert not following.source.startswith("#"), cell.id


@pytest.mark.parametrize("name", NAMES)
def test_commands_fit_a_page(name):
    commands = [cell.source for cell in code(read(FOLDER / f"{name}.ipynb")) if cell.source.startswith("%%bash")]
    assert all(len(line) < 80 for command in commands for line in command.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_runs_from_start_to_end(name, tmp_path):
    done = subprocess.run(
        [sys.executable, str(FOLDER / "execute.py"), str(FOLDER / f"{name}.ipynb"), "--output", str(tmp_path)],
        capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    executed = read(tmp_path / f"{name}.ipynb")
    check(executed)
    assert kinds(executed) == kinds(read(FOLDER / f"{name}.ipynb")), "the committed outputs are old: make notebooks"

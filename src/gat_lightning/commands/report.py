"""Report on runs: ``python -m gat_lightning.report runs=FOLDER [baseline=SETTING] [KEY=VALUE ...]``."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from gat_lightning.errors import UserError
from gat_lightning.reporting import correlations, page, sections
from gat_lightning.reporting import published as beside
from gat_lightning.reporting.baselines import find_baselines
from gat_lightning.reporting.groups import Group, comparable, group
from gat_lightning.reporting.page import Section
from gat_lightning.reporting.paper.published import published
from gat_lightning.reporting.records import Record, Unusable, collect
from gat_lightning.reporting.results import Results, as_latex, as_markdown, results, runs_counted
from gat_lightning.reporting.significance import Against, against
from gat_lightning.reporting.tables import comma_separated
from gat_lightning.reporting.words import counted


def run(config: DictConfig) -> Path:
    """Write ``report.html``, ``tables.md``, ``tables.tex``, ``results.csv`` and figures into ``config.output``.

    Each data set and threat model has a table and figures. With ``config.paper``, of the runs of that table of the
    paper, and ``published.md`` with its numbers beside theirs.
    """
    records, unusable = _runs(config)
    paper = None if config.paper is None else published(config.paper)
    if paper is not None:
        records = beside.runs_of(records, paper)
    tables = comparable(group(records))
    baselines = find_baselines(tables, config.baseline)
    output = Path(config.output).absolute()
    output.mkdir(parents=True, exist_ok=True)
    found = results(tables, config.checkpoint, config.view, baselines)
    groups = [each for part in found for each in part.groups]
    _write_tables(found, groups, config.checkpoint, output)
    shown, parts = [as_markdown(found)], []
    if paper is not None:
        lines = beside.beside_published(records, paper, config.checkpoint)
        (output / "published.md").write_text(beside.markdown(lines, paper), encoding="utf-8")
        parts.append(beside.section(lines, paper))
        shown.append(beside.markdown(lines, paper))
    parts += [_section(part, baselines.values(), output, len(found) > 1) for part in found]
    parts += sections.left_out(unusable)
    path = output / "report.html"
    path.write_text(page.page(config.title, _subtitle(groups, unusable), parts), encoding="utf-8")
    show("\n".join(shown), unusable, path)
    return path


def _runs(config: DictConfig) -> tuple[list[Record], list[Unusable]]:
    """The runs in the folders, and what there cannot be used.

    Raises:
        UserError: no folder was given, or none has a finished run.
    """
    folders = [config.runs] if isinstance(config.runs, str) else list(config.runs or [])
    if not folders:
        raise UserError("Say what to report on: runs=outputs, or runs=[outputs/A,outputs/B].")
    records, unusable = collect(folders)
    if not records:
        reasons = "; ".join(f"{each.directory}: {each.reason}" for each in unusable[:3])
        raise UserError(f"There is no finished run in {', '.join(map(str, folders))} ({reasons}).")
    return records, unusable


def _write_tables(found: Sequence[Results], groups: Sequence[Group], checkpoint: str, output: Path) -> None:
    (output / "tables.md").write_text(as_markdown(found), encoding="utf-8")
    (output / "tables.tex").write_text(as_latex(found), encoding="utf-8")
    (output / "results.csv").write_text(comma_separated(groups, checkpoint), encoding="utf-8")


def _section(part: Results, baselines: Iterable[Group], output: Path, several: bool) -> Section:
    """The section of one table. Its files are in folders of their own where there are several tables."""
    folder = part.anchor if several else ""
    drawings = output / "figures" / folder
    drawings.mkdir(parents=True, exist_ok=True)
    measured = gradients(part, output, folder, drawings)
    return sections.section(part, _tests(part, baselines), measured, drawings, several=several)


def _tests(part: Results, baselines: Iterable[Group]) -> Against | None:
    """McNemar's tests against the table's own baseline, or against one on the same data under another threat."""
    same_data = (each for each in baselines if each.conditions.data == part.conditions.data)
    baseline = part.baseline or next(same_data, None)
    return None if baseline is None else against(part.groups, baseline, part.checkpoint)


def _subtitle(groups: Sequence[Group], unusable: Sequence[Unusable]) -> str:
    left_out = f"; {counted(len(unusable), 'run')} left out" if unusable else ""
    return f"{runs_counted(groups)}{left_out}."


def gradients(part: Results, output: Path, folder: str, drawings: Path) -> str:
    """How measures of the gradients go with the robust score, where at least three models have them.

    Writes ``gradients.csv`` (the points), ``correlations.csv`` and figures; adds the correlations to ``tables.md``.
    """
    points = [] if part.robust is None else correlations.models(part.groups, part.robust, part.checkpoint)
    lines = correlations.correlate(points)
    if part.robust is None or not lines:
        return ""
    files = output / folder
    files.mkdir(exist_ok=True)
    (files / "gradients.csv").write_text(correlations.points_as_csv(points, part.robust), encoding="utf-8")
    (files / "correlations.csv").write_text(correlations.lines_as_csv(lines), encoding="utf-8")
    with (output / "tables.md").open("a", encoding="utf-8") as file:
        title = f"## Gradients and robustness: {part.title}"
        file.write(f"\n{title}\n\n{correlations.caption(part.robust)}\n\n{correlations.markdown(lines)}")
    return sections.gradient_measures(part, points, lines, drawings)


def show(table: str, unusable: Sequence[Unusable], path: Path) -> None:
    """The table at the console, and where the page is."""
    console = Console()
    console.print(table, markup=False, highlight=False, soft_wrap=True)
    for each in unusable:
        console.print(f"left out: {each.directory}: {each.reason}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"Report: {path}", soft_wrap=True)

"""Report on runs: ``python -m gat_lightning.report runs=FOLDER [baseline=SETTING] [KEY=VALUE ...]``."""

import shlex
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from gat_lightning.errors import UserError
from gat_lightning.evaluation.statistics import hypervolume
from gat_lightning.reporting import charts, correlations, page
from gat_lightning.reporting import published as beside
from gat_lightning.reporting.groups import Group, clean_metric, columns, group, robust_metric
from gat_lightning.reporting.page import Section
from gat_lightning.reporting.paper.published import published
from gat_lightning.reporting.records import Unusable, collect
from gat_lightning.reporting.results import Results, as_latex, as_markdown, image_counts, results
from gat_lightning.reporting.significance import against
from gat_lightning.reporting.tables import comma_separated
from gat_lightning.runs.metric_names import MetricName

_MOST_GALLERIES = 6


def run(config: DictConfig) -> Path:
    """Write ``report.html``, ``tables.md``, ``tables.tex``, ``results.csv`` and figures into ``config.output``.

    Runs on several data sets or under several threats have a table, and figures, for each. With ``config.paper``, of
    the runs of that table of the paper, and ``published.md`` with its numbers beside theirs.
    """
    folders = [config.runs] if isinstance(config.runs, str) else list(config.runs or [])
    if not folders:
        raise UserError("Say what to report on: runs=outputs, or runs=[outputs/A,outputs/B].")
    records, unusable = collect(folders)
    if not records:
        reasons = "; ".join(f"{each.directory}: {each.reason}" for each in unusable[:3])
        raise UserError(f"There is no finished run in {', '.join(map(str, folders))} ({reasons}).")
    paper = None if config.paper is None else published(config.paper)
    if paper is not None:
        records = beside.runs_of(records, paper)
    groups = group(records)
    baseline = find_baseline(groups, config.baseline)
    output = Path(config.output).absolute()
    output.mkdir(parents=True, exist_ok=True)
    tables = results(groups, config.checkpoint)
    (output / "tables.md").write_text(as_markdown(tables), encoding="utf-8")
    (output / "tables.tex").write_text(as_latex(tables), encoding="utf-8")
    (output / "results.csv").write_text(comma_separated(groups, config.checkpoint), encoding="utf-8")
    sections = [each.section() for each in tables]
    shown = [as_markdown(tables)]
    if paper is not None:
        lines = beside.beside_published(records, paper, config.checkpoint)
        (output / "published.md").write_text(beside.markdown(lines, paper), encoding="utf-8")
        sections.insert(0, beside.section(lines, paper))
        shown.append(beside.markdown(lines, paper))
    for each in tables:
        sections += figures(each, config.checkpoint, config.view, output / "figures" / each.folder)
        sections += gradients(each, config.checkpoint, config.view, output)
    if baseline is not None:
        sections.append(Section(f"Against {baseline.label}", page.text(against(groups, baseline, config.checkpoint))))
    sections += galleries(groups)
    if unusable:
        sections.append(Section("Left out", page.listed([f"{each.directory}: {each.reason}" for each in unusable])))
    subtitle = f"{len(records)} runs, {len(groups)} settings, checkpoint {config.checkpoint}"
    path = output / "report.html"
    path.write_text(page.page(config.title, subtitle, sections), encoding="utf-8")
    show("\n".join(shown), unusable, path)
    return path


def find_baseline(groups: Sequence[Group], wanted: str | None) -> Group | None:
    """The setting of that name, or the one whose words include all of its words.

    Raises:
        UserError: none does, or several do.
    """
    if wanted is None:
        return None
    labels = list(dict.fromkeys(each.label for each in groups))
    found = [wanted] if wanted in labels else [text for text in labels if set(wanted.split()) <= set(text.split())]
    if not found:
        raise UserError(f"baseline={wanted}: no setting fits; there are: {'; '.join(labels)}.")
    if len(found) > 1:
        raise UserError(
            f"baseline={wanted}: several settings fit: {'; '.join(found)}. Write the whole name of one, such as"
            f" baseline={shlex.quote(found[0])}."
        )
    named = [each for each in groups if each.label == found[0]]
    return min(named, key=lambda each: all(record.is_evaluation for record in each.records))  # on its own data first


def figures(part: Results, checkpoint: str, view: str | None, folder: Path) -> list[Section]:
    """Front, learning curves and weights, as far as the runs have what they need."""
    groups = part.groups
    folder.mkdir(parents=True, exist_ok=True)
    clean, robust = clean_metric(columns(groups, checkpoint)), robust_metric(groups, checkpoint, view)
    sections = []
    if clean is not None and robust is not None:
        path = charts.front(groups, clean, robust, checkpoint, folder / "front.png")
        caption = front_caption(groups, clean, robust, checkpoint)
        caption = f"{caption} {image_counts(groups, [clean, robust], checkpoint)}"
        sections.append(Section(part.titled("Clean and robust"), page.picture(path, caption)))
    curves = charts.learning_curves(groups, folder)
    if curves:
        caption = f"Mean over the seeds of each setting{_left_out(charts.MOST_CURVES, len(groups))}."
        sections.append(Section(part.titled("Validation"), page.panels(curves, caption)))
    stacked = charts.weights(groups, folder)
    if stacked:
        left_out = _left_out(charts.MOST_PANELS, len(groups))
        caption = f"Share of each objective in the sum of the absolute weights; first seed of each setting{left_out}."
        sections.append(Section(part.titled("Weights of the objectives"), page.panels(stacked, caption)))
    return sections


def gradients(part: Results, checkpoint: str, view: str | None, output: Path) -> list[Section]:
    """How measures of the gradients go with the robust score, where at least three models have them.

    Writes ``gradients.csv`` (the points), ``correlations.csv`` and figures; adds the correlations to ``tables.md``.
    Where there are several data sets or threats, each has its files in a folder of its own.
    """
    robust = robust_metric(part.groups, checkpoint, view)
    points = [] if robust is None else correlations.models(part.groups, robust, checkpoint)
    lines = correlations.correlate(points)
    if robust is None or not lines:
        return []
    folder = output / part.folder
    folder.mkdir(exist_ok=True)
    (folder / "gradients.csv").write_text(correlations.points_as_csv(points, robust), encoding="utf-8")
    (folder / "correlations.csv").write_text(correlations.lines_as_csv(lines), encoding="utf-8")
    caption = correlations.caption(robust)
    with (output / "tables.md").open("a", encoding="utf-8") as file:
        heading = f"## {part.titled('Gradients and robustness')}\n\n" if part.title else ""
        file.write(f"\n{heading}{caption}\n\n{correlations.markdown(lines)}")
    pictures = charts.measures(points, lines, robust, output / "figures" / part.folder)
    body = page.rows(correlations.HEADERS, [line.texts for line in lines]) + page.panels(pictures, caption)
    return [Section(part.titled("Gradients and robustness"), body)]


def front_caption(groups: Sequence[Group], clean: MetricName, robust: MetricName, checkpoint: str) -> str:
    """What the front shows, with its hyper-volume where both metrics are shares."""
    means = [(each.summary(clean, checkpoint), each.summary(robust, checkpoint)) for each in groups]
    points = [(1 - x.mean, 1 - y.mean) for x, y in means if x is not None and y is not None]
    caption = "Small points are seeds, large ones means."
    if not (points and clean.is_share and robust.is_share):
        return caption
    try:
        volume = hypervolume(points)
    except ImportError:  # moocore is an extra
        return caption
    return f"{caption} Hyper-volume of the means against (1, 1): {volume.dominated:.4f}, higher is better."


def galleries(groups: Sequence[Group]) -> list[Section]:
    """Adversarial images of one run of each setting."""
    found = ((each.label, _gallery(each)) for each in groups)
    there = {label: path for label, path in found if path is not None}
    shown = dict(islice(there.items(), _MOST_GALLERIES))
    note = f"One run of each setting{_left_out(_MOST_GALLERIES, len(there))}."
    return [Section("Adversarial images", page.note(note) + page.pictures(shown))] if shown else []


def _left_out(most: int, settings: int) -> str:
    return f" (the first {most} of {settings})" if settings > most else ""


def _gallery(each: Group) -> Path | None:
    """The first picture of adversarial images that a run of the setting has."""
    pictures = (
        record.directory / name
        for record in each.records
        for name in record.result.files.get("images", ())
        if name.endswith(("attack.png", "adversarial.png"))
    )
    return next((path for path in pictures if path.is_file()), None)


def show(table: str, unusable: Sequence[Unusable], path: Path) -> None:
    """The table at the console, and where the page is."""
    console = Console()
    console.print(table, markup=False, highlight=False, soft_wrap=True)
    for each in unusable:
        console.print(f"left out: {each.directory}: {each.reason}", style="yellow", markup=False, soft_wrap=True)
    console.print(f"Report: {path}", soft_wrap=True)

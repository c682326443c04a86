"""The tables of a report as LaTeX, for a paper."""

import re

from gat_lightning.attacks.budget import Radius
from gat_lightning.reporting.conditions import Conditions
from gat_lightning.reporting.summary import Cell, Summary

_NORMS = {"Linf": "$L_\\infty$", "L2": "$L_2$", "L1": "$L_1$"}


def latex(table: Summary, conditions: Conditions, note: str) -> str:
    """A ``table`` with caption and label, for the package booktabs.

    Args:
        table: the results.
        conditions: data set and threat model, for the caption.
        note: sentences for the caption.
    """
    lines = [
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{_caption(conditions)} {_escaped(note)}}}",
        f"  \\label{{{_label(conditions)}}}",
        "  \\begin{tabular}{lr" + "r" * len(table.columns) + "}",
        "    \\toprule",
        "    " + " & ".join(["Setting", "Seeds", *map(_escaped, table.headers)]) + " \\\\",
        "    \\midrule",
    ]
    for label, seeds, cells in zip(table.labels, table.seeds, table.cells, strict=True):
        lines.append("    " + " & ".join([_escaped(label), str(seeds), *map(_cell, cells)]) + " \\\\")
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}"]) + "\n"


def _cell(cell: Cell) -> str:
    text = cell.in_full.replace("±", "$\\pm$").replace(" to ", "--")
    return f"\\textbf{{{text}}}" if cell.best else text


def _caption(conditions: Conditions) -> str:
    threat, data = conditions.threat, _escaped(conditions.data or "unknown data")
    if threat is None:
        return f"Results on {data}."
    norm = _NORMS.get(threat.norm, _escaped(threat.norm))
    return f"Results on {data}, attacks in {norm} with $\\varepsilon = {Radius(threat.eps)}$."


def _label(conditions: Conditions) -> str:
    return f"tab:{re.sub(r'[^a-z0-9]+', '-', str(conditions).lower()).strip('-')}"


def _escaped(text: str) -> str:
    special = {"\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_", "{": "\\{",
               "}": "\\}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "±": "$\\pm$", "∞": "$\\infty$",
               "ε": "$\\varepsilon$", "<": "$<$"}  # fmt: skip
    return "".join(special.get(letter, letter) for letter in text)

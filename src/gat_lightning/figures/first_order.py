"""Lemma A.2 and theorem 3.1 of the paper against what was measured."""

from collections.abc import Mapping
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gat_lightning.errors import UserError
from gat_lightning.evaluation.covariance import CovarianceTrend
from gat_lightning.evaluation.statistics import Correlation, pearson
from gat_lightning.evaluation.vulnerability import Vulnerability


def first_order_agreement(vulnerability: Vulnerability, *, in_box: bool = False) -> Correlation:
    """Pearson's correlation over the images between measured and predicted change of the loss (lemma A.2).

    Args:
        vulnerability: vulnerability to one attack.
        in_box: whether the prediction keeps x + δ in [0, 1].
    """
    return pearson(vulnerability.first_order_in_box if in_box else vulnerability.first_order, vulnerability.change)


def draw_first_order(
    vulnerabilities: Mapping[str, Vulnerability],
    trends: Mapping[str, CovarianceTrend],
    equal_lengths: Mapping[str, CovarianceTrend],
    path: Path,
) -> dict[str, Correlation]:
    """Plot measured over first-order vulnerability, and over the covariance of task gradients.

    Args:
        vulnerabilities: vulnerabilities by attack; one scatter plot of images each.
        trends: trends of eq. 3 by pair of tasks; if empty, only the vulnerabilities are drawn.
        equal_lengths: the same after each image's gradients were scaled to one length, by a name of their own.
        path: file of the picture; its suffix selects the format.

    Returns:
        The correlations, by the names of attacks and pairs.

    Raises:
        UserError: there is no attack.
    """
    if not vulnerabilities:
        raise UserError("a picture of first-order vulnerability needs at least one attack")
    columns = 3 if trends else 1
    figure = Figure(figsize=(3.4 * columns, 4.6), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    found = _draw_lemma(axes[0], vulnerabilities)
    if trends:
        found |= _draw_theorem(axes[1], trends, "Theorem 3.1")
        found |= _draw_theorem(axes[2], equal_lengths, "Equal lengths:\nan identity where lemma A.2 holds")
    figure.savefig(path, dpi=130, bbox_inches="tight", pad_inches=0.1)
    return found


def _draw_lemma(axes: Axes, vulnerabilities: Mapping[str, Vulnerability]) -> dict[str, Correlation]:
    found = {}
    ends: list[float] = []
    for name, each in vulnerabilities.items():
        found[name] = first_order_agreement(each)
        shown = (each.first_order > 0) & (each.change > 0)
        x, y = each.first_order[shown], each.change[shown]
        axes.scatter(x, y, s=8, alpha=0.5, linewidths=0, label=f"{name}: {found[name].text()}")
        ends += torch.cat([x, y]).tolist()
    if ends:
        line = [min(ends), max(ends)]
        axes.plot(line, line, color="black", linewidth=1, label="measured = predicted")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("ε ‖∂x L'‖q of each image")
    axes.set_ylabel("measured change of the loss")
    axes.set_title("Lemma A.2", fontsize=11)
    axes.legend(fontsize=8, markerscale=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return found


def _draw_theorem(axes: Axes, trends: Mapping[str, CovarianceTrend], title: str) -> dict[str, Correlation]:
    curve = torch.linspace(min(float(trend.covariance.min()) for trend in trends.values()), 1, 100)
    axes.plot(curve, (1 + curve).clamp(min=0).sqrt(), color="black", linewidth=1, label="√(1 + covariance), eq. 3")
    for name, trend in trends.items():
        label = f"{name}:\n{trend.correlation.text()}"
        axes.plot(trend.covariance, trend.measured, "o", markersize=5, label=label)
    axes.set_xlabel("2 α₁α₂ Cov(∂x L₁, ∂x L₂)\n/ (α₁²σ₁² + α₂²σ₂²)")
    axes.set_ylabel("measured vulnerability\n/ (ε √(α₁²σ₁² + α₂²σ₂²))")
    axes.set_title(title, fontsize=11)
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.28))
    return {name: trend.correlation for name, trend in trends.items()}

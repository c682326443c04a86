"""Words of a report."""

from __future__ import annotations

import pytest

from gat_lightning.attacks.budget import Radius
from gat_lightning.evaluation.threat import Threat
from gat_lightning.reporting.words import (
    axis_words,
    metric_words,
    p_words,
    threat_symbols,
    view_words,
)
from gat_lightning.runs.metric_names import MetricName


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("pgd20", "PGD-20"),
        ("apgd_t", "APGD-T"),
        ("pgd20 L2 0.5", "PGD-20 L2 0.5"),
        ("worst of pgd20, autoattack", "worst of PGD-20, AutoAttack"),
        ("mine", "mine"),
    ],
)
def test_a_view_has_the_name_that_papers_give_it(view: str, words: str) -> None:
    assert view_words(view) == words


def test_axes_and_headers_are_in_words() -> None:
    assert axis_words(MetricName("test", "clean", "accuracy")) == "accuracy on clean images"
    assert axis_words(MetricName("test", "autoattack", "auroc")) == "AUROC under AutoAttack"
    assert metric_words(MetricName("test", "cw", "mae")) == "C&W mean absolute error"


def test_a_threat_is_in_symbols() -> None:
    assert threat_symbols(Threat("Linf", Radius("8/255"), "all")) == "L∞, ε = 8/255 all"
    assert threat_symbols(Threat("L2", 0.5)) == "L2, ε = 0.5"


def test_small_p_values_are_short() -> None:
    assert [p_words(p) for p in (0.5, 0.001, 0.0009, 0.0)] == ["0.500", "0.001", "< 0.001", "< 0.001"]

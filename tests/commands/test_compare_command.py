"""``python -m gat_lightning.compare``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from gat_lightning.commands.compare import run
from gat_lightning.errors import UserError
from gat_lightning.evaluation.outcomes import Outcomes
from gat_lightning.evaluation.predictions import Predictions
from support.configurations import composed


def evaluation(folder: Path, name: str, seed: int, size: int = 200, kind: str = "multiclass") -> Path:
    generator = np.random.default_rng(seed)
    labels = np.arange(size) % 10
    prediction = np.where(generator.random(size) < 0.5 + 0.1 * seed, labels, (labels + 1) % 10)
    zeros = np.zeros(size, dtype=np.float32)
    outcomes = Outcomes(prediction, prediction == labels, zeros, zeros)
    (folder / name).mkdir()
    Predictions(kind, np.arange(size), labels, {"clean": outcomes}).save(folder / name / "predictions.npz")
    return folder / name


def test_every_pair_has_the_p_values_of_statsmodels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [evaluation(tmp_path, name, seed) for seed, name in enumerate("abc")]
    output = tmp_path / "comparison.json"
    run(composed("compare", f"runs=[{','.join(map(str, paths))}]", "view=clean", f"output={output}"))
    pairs = json.loads(output.read_text())["pairs"]
    assert [(pair["first"], pair["second"]) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    right = [Predictions.load(path / "predictions.npz").views["clean"].correct for path in paths]
    expected = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        table = [[(right[i] & right[j]).sum(), (right[i] & ~right[j]).sum()],
                 [(~right[i] & right[j]).sum(), (~right[i] & ~right[j]).sum()]]  # fmt: skip
        exact = table[0][1] + table[1][0] < 25
        expected.append(mcnemar(table, exact=exact, correction=True).pvalue)
    assert [pair["p_value"] for pair in pairs] == pytest.approx(expected)
    assert [pair["adjusted_p_value"] for pair in pairs] == pytest.approx(multipletests(expected, method="holm")[1])
    assert "Model 'a' VS 'b'" in capsys.readouterr().out


def test_models_can_be_named(tmp_path: Path) -> None:
    paths = [evaluation(tmp_path, name, seed) for seed, name in enumerate("ab")]
    found = run(composed("compare", f"runs={{GAT: {paths[0]}, Madry: {paths[1]}/predictions.npz}}", "view=clean"))
    assert (found.pairs[0].first, found.pairs[0].second) == ("GAT", "Madry")


def test_wrong_inputs_are_refused(tmp_path: Path) -> None:
    a, b = (evaluation(tmp_path, name, seed) for seed, name in enumerate("ab"))
    fewer = evaluation(tmp_path, "fewer", 0, size=100)
    number = evaluation(tmp_path, "number", 0, kind="regression")
    for overrides, message in (
        ([f"runs=[{a}]"], "two or more different evaluations"),
        ([f"runs={a}"], rf"^runs=\['{a}'\]: give two or more different evaluations"),
        ([f"runs=[{a},{a}]"], "two or more different evaluations"),
        ([f"runs=[{a},{b}]", "view=pgd20"], "no test condition 'pgd20'; it has: clean"),
        ([f"runs=[{a},{fewer}]", "view=clean"], "other images"),
        ([f"runs=[{a},{number}]", "view=clean"], "about a number"),
        ([f"runs=[{a},{tmp_path / 'nowhere'}]", "view=clean"], "no predictions"),
    ):
        with pytest.raises(UserError, match=message):
            run(composed("compare", *overrides))


def test_evaluations_in_runs_are_told_apart_by_their_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = []
    for seed, name in enumerate("ab"):
        folder = tmp_path / name / "evaluations"
        folder.mkdir(parents=True)
        paths.append(evaluation(folder, "clean-0123abcd", seed))
    run(composed("compare", f"runs=[{','.join(map(str, paths))}]", "view=clean"))
    assert "Model 'a/clean-0123abcd' VS 'b/clean-0123abcd'" in capsys.readouterr().out

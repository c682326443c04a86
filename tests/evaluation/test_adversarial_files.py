"""Adversarial images in files: within the ball after rounding, and scored as reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gat_lightning.attacks import BIM, PGD, Attack, ClassifierProblem, input_gradient
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.attacks.norms import as_norm
from gat_lightning.evaluation.adversarial import save_adversarial
from gat_lightning.evaluation.journal import Journal
from gat_lightning.evaluation.robustness import Evaluation, evaluate_robustness
from gat_lightning.evaluation.rounding import TYPES, pixels, rounded, rounded_images
from gat_lightning.evaluation.target import Target
from support.trained_digits import subset, task, trained

BALLS = {"Linf": 8 / 255, "L2": 0.5, "L1": 6.0}
ORDER = {"Linf": float("inf"), "L2": 2, "L1": 1}


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("name", list(BALLS))
def test_rounded_images_are_in_the_ball_and_near(name: str, dtype: np.dtype[Any]) -> None:
    generator, norm, eps = torch.Generator().manual_seed(0), as_norm(name), BALLS[name]
    images = torch.randint(256, (40, 3, 8, 8), generator=generator) / 255
    delta = norm.project(torch.randn(images.shape, generator=generator), eps)
    adversarial = (images + delta).clamp(0, 1)
    found = rounded(images, adversarial, norm, eps, dtype)
    change = (pixels(found) - images).double().flatten(1)
    assert (torch.linalg.vector_norm(change, ORDER[name], dim=1) <= eps * (1 + 1e-5) + 1e-6).all()
    assert ((pixels(found) >= 0) & (pixels(found) <= 1)).all()
    step = 1 / 255 if dtype == TYPES[0] else 2**-11
    assert ((pixels(found) - adversarial).abs() < step + 1e-6).all()
    assert torch.equal(pixels(rounded(images, images, norm, eps, TYPES[0])), images)


def test_a_grey_level_at_the_radius_stays_there() -> None:
    images = torch.full((1, 1, 8, 8), 100 / 255)
    up = images + torch.tensor(8 / 255)
    assert (rounded(images, up, as_norm("Linf"), 8 / 255, TYPES[0]) == 108).all()
    assert (rounded(images, images + 0.1, as_norm("Linf"), 0.1, TYPES[0]) == 125).all()  # 25.5 levels


def saved(attack: Attack, path: Path, journal: Journal | None = None) -> tuple[Any, Any, dict[str, Any]]:
    target = Target(trained(), task())
    evaluation = Evaluation(target, subset("multiclass"), batch_size=16, journal=journal, keeps_images=["view"])
    predictions = evaluate_robustness(evaluation, {"view": attack})
    check = save_adversarial(evaluation, target, predictions, "view", attack, path, 25)
    with np.load(path, allow_pickle=False) as file:
        return predictions, check, {name: file[name] for name in file.files}


ATTACKS = [PGD(eps=0.1, steps=4), AutoAttack(eps="15/255", steps=3, queries=10, seed=4), PGD(norm="L2", eps=0.6)]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_file_holds_what_was_evaluated(attack: Attack, tmp_path: Path) -> None:
    predictions, check, found = saved(attack, tmp_path / "adversarial" / "view.npz")
    images = pixels(torch.from_numpy(found["images"]))
    clean = subset("multiclass").__getitems__(list(range(60))).images
    size = torch.linalg.vector_norm((images - clean).flatten(1), ORDER[attack.norm.name], dim=1)
    assert (size <= attack.eps * (1 + 1e-5) + 1e-6).all()
    assert check.largest == pytest.approx(float(size.max()))
    assert (check.outside, check.changed, check.images) == (0, 0, 60)
    outcomes = predictions.views["view"]
    assert trained()(images).argmax(1).tolist() == outcomes.prediction.tolist() == found["prediction"].tolist()
    assert check.metrics == {"accuracy": outcomes.correct.mean()}
    assert found["index"].tolist() == predictions.index.tolist()
    assert (str(found["norm"]), float(found["eps"])) == (attack.norm.name, attack.eps)
    if isinstance(attack, AutoAttack):
        assert torch.equal(images[outcomes.correct], clean[outcomes.correct])
    told = check.told("view", attack)
    assert f"all are within {attack.norm.name} {attack.eps} and [0, 1]" in told
    assert "no decisions differ" in told


def test_images_at_the_boundary_are_rounded_to_their_far_side() -> None:
    """Points just past the boundary on the way to an adversarial image: rounding to the nearest value undoes some."""
    batch, model, attack = subset("multiclass").__getitems__(list(range(60))), trained(), BIM(eps=0.1, steps=10)
    problem = ClassifierProblem(model, batch.labels["class"])
    far = attack(problem, batch.images)
    rows = problem.success(far) & ~problem.success(batch.images)
    problem.labels = batch.labels["class"][rows]
    images, near, far = batch.images[rows], batch.images[rows], far[rows]
    for _ in range(20):
        middle = (near + far) / 2
        fooled = problem.success(middle)[:, None, None, None]
        near, far = torch.where(fooled, near, middle), torch.where(fooled, middle, far)
    undone = {dtype: ~problem.success(pixels(rounded(images, far, attack.norm, 0.1, dtype))) for dtype in TYPES}
    assert min(undone[dtype].sum() for dtype in TYPES) > len(far) / 4
    kept = rounded_images(images, far, attack, problem.success, lambda: input_gradient(problem, far))
    for dtype in TYPES:
        found = pixels(torch.from_numpy(kept[dtype.name]))
        lost = ~problem.success(found)
        assert lost.sum() <= undone[dtype].sum() / 4  # of some, only corners of the ball are past it
        assert ((found - images).abs() <= 0.1 + 1e-5).all()


def test_what_rounding_changes_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def clean(images: Tensor, adversarial: Tensor, attack: Attack, *others: Any) -> dict[str, Any]:
        return {dtype.name: rounded(images, images, attack.norm, attack.eps, dtype).numpy() for dtype in TYPES}

    monkeypatch.setattr("gat_lightning.evaluation.robustness.rounded_images", clean)
    predictions, check, found = saved(BIM(eps=0.1), tmp_path / "a" / "view.npz")
    views = predictions.views
    assert check.changed == (views["clean"].prediction != views["view"].prediction).sum() > 0
    assert check.metrics["accuracy"] == views["clean"].correct.mean()
    assert f"{check.changed} decisions differ" in check.told("view", BIM(eps=0.1))
    assert found["images"].dtype == np.float16


def test_images_of_an_interrupted_evaluation_are_those_of_one_run(tmp_path: Path) -> None:
    attack = ATTACKS[0]
    _, _, whole = saved(attack, tmp_path / "a" / "view.npz")
    saved(attack, tmp_path / "b" / "view.npz", Journal(tmp_path / "progress", "same"))
    for unit in (tmp_path / "progress" / "view").glob("*-00002.npz"):
        unit.unlink()
    _, _, resumed = saved(attack, tmp_path / "b" / "view.npz", Journal(tmp_path / "progress", "same"))
    assert np.array_equal(whole["images"], resumed["images"])


def test_only_the_images_of_the_views_that_are_named_are_kept() -> None:
    journal, attack = Journal(), BIM(eps=0.1)
    evaluation = Evaluation(Target(trained(), task()), subset("multiclass"), journal=journal, keeps_images=["view"])
    units = []
    for view in ("view", "view@0.1"):
        evaluation.attacked(view, attack)
        units.append(journal.get(view, attack.name, 0) or {})
    assert {name for name in units[0] if name not in units[1]} == {dtype.name for dtype in TYPES}


def test_the_adversarial_images_are_those_of_the_attack(tmp_path: Path) -> None:
    _, _, found = saved(BIM(eps=0.1), tmp_path / "a" / "view.npz")
    batch = subset("multiclass").__getitems__(list(range(60)))
    expected = BIM(eps=0.1)(ClassifierProblem(trained(), batch.labels["class"]), batch.images)
    assert float((pixels(torch.from_numpy(found["images"])) - expected).abs().max()) <= 1 / 255 + 1e-6

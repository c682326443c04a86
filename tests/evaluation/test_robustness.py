"""Every image once, clean and under every attack: what must hold whatever the batches, the kills and the target."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from gat_lightning.attacks import BIM, FGSM, MIM, PGD, Attack, ClassifierProblem, LossProblem
from gat_lightning.attacks.apgd import APGDCE
from gat_lightning.attacks.autoattack import AutoAttack
from gat_lightning.attacks.fab import FAB
from gat_lightning.attacks.square import Square
from gat_lightning.errors import UserError
from gat_lightning.evaluation.curve import curve_point
from gat_lightning.evaluation.journal import Journal
from gat_lightning.evaluation.outcomes import Outcomes, auroc, worst
from gat_lightning.evaluation.predictions import Predictions, score
from gat_lightning.evaluation.robustness import Evaluation, evaluate_robustness, fingerprint
from gat_lightning.evaluation.target import Target
from gat_lightning.models import MultiTaskModel
from gat_lightning.randomness import BLOCK, ImageGenerator
from gat_lightning.runs.metric_names import MetricName
from support.trained_digits import Small, Toy, digits, subset, task, trained

EPS = 0.1


def evaluation(kind: Any = "multiclass", batch_size: int = 16, size: int = 60, **settings: Any) -> Evaluation:
    return Evaluation(Target(trained(kind), task(kind)), subset(kind, size), batch_size=batch_size, **settings)


def same(first: Outcomes, second: Outcomes, tolerance: float = 0) -> None:
    assert np.array_equal(first.prediction, second.prediction) or tolerance
    assert np.array_equal(first.correct, second.correct)
    np.testing.assert_allclose(first.loss, second.loss, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(first.score, second.score, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("sizes", [[100], [7] * 14 + [2], [50, 1, 49]])
def test_an_image_draws_the_same_numbers_in_any_batch(sizes: list[int]) -> None:
    def drawn(positions: Tensor) -> tuple[Tensor, ...]:
        generator = ImageGenerator(positions, 0, "test", "pgd")
        return generator.uniform((2, 3)), generator.normal((4,)), generator.integers(1000), generator.uniform(())

    whole = drawn(torch.arange(100))
    parts = zip(*(drawn(positions) for positions in torch.arange(100).split(sizes)), strict=True)
    assert all(torch.equal(torch.cat(part), all_) for part, all_ in zip(parts, whole, strict=True))
    scattered = torch.tensor([90, 3, BLOCK, 41])
    assert all(torch.equal(some, all_[scattered]) for some, all_ in zip(drawn(scattered), whole, strict=True))
    assert len(whole[0].unique()) == whole[0].numel()


ATTACKS: dict[str, Attack] = {
    "fgsm": FGSM(eps=EPS),
    "mim": MIM(eps=EPS, steps=3),
    "pgd": PGD(eps=EPS, steps=4, restarts=2),
    "pgd-l2": PGD(norm="L2", eps=0.5, steps=3),
    "fab": FAB(eps=EPS, steps=4),
}


@pytest.mark.parametrize("view", list(ATTACKS))
def test_outcomes_do_not_depend_on_the_batch_size(view: str) -> None:
    found = {size: evaluation(batch_size=size).attacked(view, ATTACKS[view]) for size in (60, 13)}
    assert 0 < found[60].correct.mean() < 1
    same(found[60], evaluation(batch_size=60).attacked(view, ATTACKS[view]))
    same(found[60], found[13], 1e-4)


def test_views_are_what_the_attack_makes_of_each_image() -> None:
    data, model = subset("multiclass"), trained()
    predictions = evaluate_robustness(evaluation(), {"bim": BIM(eps=EPS), "fgsm": FGSM(eps=EPS)})
    assert list(predictions.views) == ["clean", "bim", "fgsm", "worst"]
    batch = data.__getitems__(list(range(60)))
    label = batch.labels["class"]
    for view, attack in (("clean", FGSM(eps=0)), ("bim", BIM(eps=EPS)), ("fgsm", FGSM(eps=EPS))):
        logits = model(attack(ClassifierProblem(model, label), batch.images)).detach()
        outcomes = predictions.views[view]
        assert outcomes.prediction.tolist() == logits.argmax(1).tolist()
        assert outcomes.correct.tolist() == (logits.argmax(1) == label).tolist()
        loss = torch.nn.functional.cross_entropy(logits, label, reduction="none")
        np.testing.assert_allclose(outcomes.loss, loss, rtol=1e-4, atol=1e-6)
        assert ((outcomes.score > 0) == outcomes.correct).all()
    assert predictions.index.tolist() == list(range(60))
    robust = np.logical_and.reduce([predictions.views[view].correct for view in ("clean", "bim", "fgsm")])
    assert np.array_equal(predictions.views["worst"].correct, robust)


def test_the_worst_case_is_wrong_before_it_is_large() -> None:
    def outcomes(correct: list[bool], loss: list[float]) -> Outcomes:
        size = np.array(loss, np.float32)
        return Outcomes(np.array(loss), np.array(correct), size, size)

    found = worst(
        [outcomes([True, True, False, True], [3, 1, 1, 0]), outcomes([False, True, False, True], [2, 2, 0, np.nan])]
    )
    assert found.correct.tolist() == [False, True, False, True]
    assert found.score[:3].tolist() == [2, 2, 1]
    assert np.isnan(found.score[3])


def test_a_curve_falls_from_the_clean_accuracy() -> None:
    curve = [curve_point(BIM(eps=eps), {}) for eps in (0, 0.05, 0.1, 0.3, 1)]
    views = evaluate_robustness(evaluation(), {}, curve).views
    heights = [views[point.view].correct.mean() for point in curve]
    assert heights[0] == views["clean"].correct.mean()
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == 0
    assert "worst" not in views


def test_autoattack_goes_through_all_batches_as_through_each_alone() -> None:
    attack = AutoAttack(eps=0.05, steps=3, queries=10, seed=4)
    found = evaluation().attacked("autoattack", attack)
    data, model, right = subset("multiclass"), trained(), []
    for start in range(0, 60, 16):
        batch = data.__getitems__(list(range(start, min(start + 16, 60))))
        problem = ClassifierProblem(model, batch.labels["class"])
        right += (~problem.success(attack(problem, batch.images))).tolist()
    assert found.correct.tolist() == right
    clean = evaluation().predictions.views["clean"]
    standing = found.correct
    same(found.take(np.flatnonzero(standing)), clean.take(np.flatnonzero(standing)))
    assert 0 < standing.sum() < clean.correct.sum()


class KilledError(Exception):
    """Stands for a kill."""


class Run:
    """Evaluations that die after a number of finished units, and a record of what they began."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.began: Counter[tuple[str, str, int]] = Counter()
        self.left = 10**9

    def __call__(self, lifetime: int) -> Predictions | None:
        self.left = lifetime
        run = self

        class Recorded(Journal):
            def get(self, view: str, member: str, batch: int) -> Any:
                found = super().get(view, member, batch)
                if found is None:
                    run.began[view, member, batch] += 1
                    run.left -= 1
                    if run.left < 0:
                        raise KilledError
                return found

        journal = Recorded(self.directory, "same")
        attacks = {"pgd": PGD(eps=EPS, steps=2), "autoattack": AutoAttack(eps=0.05, steps=2, queries=5, seed=0)}
        try:
            return evaluate_robustness(evaluation(journal=journal), attacks, [curve_point(FGSM(eps=0.05), {})])
        except KilledError:
            return None


def test_ten_kills_cost_ten_units_and_change_nothing(tmp_path: Path) -> None:
    uninterrupted = Run(tmp_path / "a")(10**9)
    assert uninterrupted is not None
    draw, run = random.Random(0), Run(tmp_path / "b")
    for _ in range(10):
        assert run(draw.randrange(1, 4)) is None
    resumed = run(10**9)
    assert resumed is not None
    for view, outcomes in uninterrupted.views.items():
        same(outcomes, resumed.views[view])
    assert sum(run.began.values()) - len(run.began) <= 10
    assert max(run.began.values()) <= 2


def test_a_journal_of_another_model_or_without_resume_is_dropped(tmp_path: Path) -> None:
    def kept(mark: str, resume: bool = True) -> bool:
        journal = Journal(tmp_path / "progress", mark, resume)
        there = journal.get("v", "m", 0) is not None
        journal.put("v", "m", 0, {"x": np.arange(3)})
        return there

    assert [kept("a"), kept("a"), kept("b"), kept("b"), kept("b", resume=False)] == [False, True, False, True, False]
    (tmp_path / "progress" / "v" / "m-00000.npz").write_bytes(b"PK torn")
    assert not kept("b")
    journal = Journal(tmp_path / "progress", "b")
    assert journal.done("v", "m") == 1
    journal.close()
    assert not (tmp_path / "progress").exists()


def test_the_fingerprint_follows_weights_and_settings() -> None:
    model, other = Small(10), Small(10)
    assert fingerprint(model, 1) == fingerprint(model, 1)
    assert fingerprint(model, 1) != fingerprint(model, 2)
    assert fingerprint(model, 1) != fingerprint(other, 1)


@pytest.mark.parametrize("kind", ["multiclass", "binary", "regression"])
def test_images_without_label_are_left_out(kind: Any) -> None:
    target = Target(trained(kind), task(kind))
    found = Evaluation(target, subset(kind, missing=True), batch_size=16).predictions
    whole = Evaluation(target, subset(kind), batch_size=16).predictions
    labelled = [position for position in range(60) if position % 5]
    assert found.index.tolist() == labelled
    same(found.views["clean"], whole.views["clean"].take(np.array(labelled)), 1e-5)
    with pytest.raises(UserError, match="No image of the test split has the label 'class'"):
        Evaluation(target, subset(kind, size=1, missing=True))


def test_binary_targets_are_scored_by_auroc_and_attacked_as_decisions() -> None:
    predictions = evaluate_robustness(evaluation("binary"), {"apgd_ce": APGDCE(eps=0.05, steps=5, seed=0)})
    metrics, intervals = score(predictions, "test")
    assert list(map(str, metrics))[:2] == ["test/clean/auroc", "test/clean/accuracy"]
    for view, outcomes in predictions.views.items():
        name = MetricName("test", view, "auroc")
        assert metrics[name] == pytest.approx(roc_auc_score(predictions.labels, outcomes.score))
        assert metrics[MetricName("test", view, "accuracy")] == outcomes.correct.mean()
        low, high = intervals[name]
        assert low <= metrics[name] <= high
    for metric in ("auroc", "accuracy"):
        names = [MetricName("test", view, metric) for view in ("worst", "apgd_ce", "clean")]
        worst_of_all, attacked, clean = (metrics[name] for name in names)
        assert worst_of_all <= attacked < clean
    assert np.isnan(auroc(np.ones(3), np.arange(3)))
    assert auroc(np.array([0, 1, 1, 0]), np.array([2.0, 2, 5, 1])) == 0.875


def test_regression_targets_are_attacked_through_their_loss() -> None:
    target = Target(trained("regression"), task("regression"))
    predictions = evaluate_robustness(
        evaluation("regression"), {"bim": BIM(eps=0.1), "square": Square(eps=0.1, queries=20)}
    )
    metrics, _ = score(predictions, "test")
    clean = predictions.views["clean"]
    errors = [metrics[MetricName("test", view, "mae")] for view in ("clean", "square", "bim", "worst")]
    assert errors[0] == pytest.approx(np.abs(clean.prediction - predictions.labels).mean())
    assert errors[0] < errors[1] < errors[2] <= errors[3]
    assert target.why_not(BIM()) is None
    for attack in (APGDCE(), AutoAttack(), FAB()):
        assert "not defined for a regression" in str(target.why_not(attack))
        with pytest.raises(UserError, match="not defined for a regression"):
            evaluation("regression").attacked("x", attack)


def test_dense_targets_are_refused() -> None:
    with pytest.raises(UserError, match="is an image"):
        Target(Small(10), Toy("dense"))


def test_other_tasks_can_be_attacked() -> None:
    """The images are those of an attack on their loss; the scores are the target's."""
    macro = Toy("binary", "odd")
    macro.setup(digits().info)
    data = subset("multiclass")
    data.labels["odd"] = data.labels["class"] % 2
    multi = MultiTaskModel(trained(), "class", (1, 8, 8), [macro])
    main, attack = task(), BIM(eps=EPS)
    for attacked in ([macro], [main, macro]):
        target = Target(multi.single_task(), main, multi, attacked)
        found = Evaluation(target, data, batch_size=16).attacked("bim", attack)
        batch = data.__getitems__(list(range(60)))

        def loss(x: Tensor, attacked: Any = attacked, batch: Any = batch) -> Tensor:
            return sum(each.loss(multi(x)[each.name], batch.labels[each.name]) for each in attacked)

        adversarial = attack(LossProblem(loss, multi), batch.images)
        right = multi(adversarial)["class"].argmax(1) == batch.labels["class"]
        assert found.correct.tolist() == right.tolist()
        assert "attack.tasks other than target" in str(target.why_not(APGDCE()))
    with pytest.raises(UserError, match=r"set attack\.tasks=target"):
        Target(trained(), main, None, [macro])


def test_progress_tells_the_running_accuracy() -> None:
    told: dict[str, list[float]] = {}

    @contextmanager
    def track(view: str, attack: str, batches: int, done: int) -> Iterator[Callable[[int, int], None]]:
        assert (batches, done) == (4, 0)
        yield lambda correct, total: told.setdefault(f"{view}/{attack}", []).append(correct / total)

    found = evaluation(track=track).attacked("aa", AutoAttack(eps=0.05, steps=2, queries=5))
    assert list(told) == ["clean/clean", "aa/apgd_ce", "aa/apgd_t", "aa/fab", "aa/square"]
    falling = [value for name, values in told.items() if name != "clean/clean" for value in values]
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == found.correct.mean()


def test_predictions_survive_the_disk_and_others_are_refused(tmp_path: Path) -> None:
    predictions = evaluate_robustness(evaluation(), {"fgsm": FGSM(eps=EPS)})
    predictions.save(tmp_path / "predictions.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.npz"]
    loaded = Predictions.load(tmp_path / "predictions.npz")
    assert (loaded.kind, list(loaded.views)) == ("multiclass", ["clean", "fgsm", "worst"])
    for view, outcomes in predictions.views.items():
        same(outcomes, loaded.views[view])
    with pytest.raises(UserError, match="There are no predictions"):
        Predictions.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", x=np.arange(3))
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez(tmp_path / "objects.npz", kind=np.array([{}], dtype=object))
    for name in ("other", "text", "objects"):
        with pytest.raises(UserError, match="does not hold predictions that gat_lightning wrote"):
            Predictions.load(tmp_path / f"{name}.npz")


def test_the_small_model_is_worth_attacking() -> None:
    whole = Evaluation(Target(trained(), task()), digits().split("test"))
    assert whole.predictions.views["clean"].correct.mean() > 0.85

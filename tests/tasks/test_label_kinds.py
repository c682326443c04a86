import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.nn.functional import binary_cross_entropy_with_logits

from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.metrics import AUROC
from gat_lightning.models.features import FeatureInfo, Features
from gat_lightning.tasks import BinaryClassification, Classification, Regression, target_task

INFO = DataInfo(
    "toy",
    (1, 8, 8),
    (0.5,),
    (0.5,),
    {
        "edema": LabelInfo(("absent", "present"), "binary", counts=(30, 10)),
        "hernia": LabelInfo(("absent", "present"), "binary", counts=(40, 0)),
        "age": LabelInfo((), "regression", scale=100.0, unit="years"),
        "gender": LabelInfo(("female", "male", "unknown")),
    },
)


def ready(task):
    task.setup(INFO)
    return task


def assert_masked(task, label, missing, expected):
    output = torch.randn(len(label), 1, requires_grad=True)
    loss = task.loss(output, label)
    assert loss.shape == label.shape
    loss.sum().backward()
    assert (loss[missing] == 0).all()
    assert (output.grad[missing] == 0).all()
    assert (output.grad[~missing] != 0).all()
    torch.testing.assert_close(loss[~missing], expected(output.squeeze(1)[~missing], label[~missing]))


@pytest.mark.parametrize(("given", "weight"), [(None, 1.0), (2.5, 2.5), ("balanced", 3.0)])
def test_binary_loss_is_masked_and_weighted(given, weight):
    label = torch.tensor([1, 0, -1, 1, -1, 0])
    assert_masked(
        ready(BinaryClassification("edema", given)),
        label,
        label == -1,
        lambda logit, said: binary_cross_entropy_with_logits(
            logit, said.float(), reduction="none", pos_weight=torch.tensor(weight)
        ),
    )


def test_regression_loss_is_masked():
    label = torch.tensor([0.3, float("nan"), 0.9, float("nan")])
    assert_masked(ready(Regression("age")), label, label.isnan(), lambda output, said: (output - said).abs())


def test_a_balanced_loss_has_no_gradient_at_the_base_rate():
    task = ready(BinaryClassification("edema", "balanced"))
    label = torch.tensor([0] * 30 + [1] * 10)
    output = torch.zeros(40, 1, requires_grad=True)
    task.loss(output, label).sum().backward()
    assert abs(float(output.grad.sum())) < 1e-6


@pytest.mark.parametrize("seed", range(20))
def test_auroc_is_scikit_learns_in_any_batches_with_ties_and_missing_labels(seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 10.0 ** rng.integers(-3, 4), 60).astype(np.float32), rng.integers(-1, 2, 60)
    logits[::7] = logits[0]
    metrics = ready(BinaryClassification("edema")).metrics()
    assert next(iter(metrics)) == "auroc"
    for part in np.array_split(np.arange(60), rng.integers(1, 9)):
        metrics.update(torch.from_numpy(logits[part])[:, None], torch.from_numpy(labels[part]))
    known = labels >= 0
    scores = metrics.compute()
    assert float(scores["auroc"]) == pytest.approx(roc_auc_score(labels[known], logits[known]), abs=1e-6)
    assert float(scores["accuracy"]) == pytest.approx(((logits > 0) == labels)[known].mean(), abs=1e-6)


def test_auroc_does_not_saturate_and_ranks_the_batches_together():
    metric = AUROC()
    metric.update(torch.tensor([[0.2], [0.4]]), torch.tensor([0, 0]))
    metric.update(torch.tensor([[500.0], [400.0]]), torch.tensor([1, 0]))
    assert metric.compute() == 1


@pytest.mark.parametrize("label", [[], [1, 1], [0, 0], [-1, -1]])
def test_auroc_of_one_class_is_nan(label):
    metric = AUROC()
    metric.update(torch.randn(len(label), 1), torch.tensor(label, dtype=torch.long))
    assert math.isnan(metric.compute())
    metric.reset()
    metric.update(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1]))
    assert metric.compute() == 1


def test_a_process_without_batches_still_has_something_to_gather():
    metric = AUROC()
    assert [len(state) for state in (metric.logits, metric.labels)] == [1, 1]
    metric.update(torch.ones(1, 1), torch.ones(1, dtype=torch.long))
    metric.reset()
    assert [len(state) for state in (metric.logits, metric.labels)] == [1, 1]


def test_age_is_scored_in_years_without_the_missing():
    metrics = ready(Regression("age")).metrics()
    metrics.update(torch.tensor([[0.5], [0.1]]), torch.tensor([0.4, float("nan")]))
    metrics.update(torch.tensor([[0.5]]), torch.tensor([0.8]))
    assert float(metrics.compute()["mae"]) == pytest.approx((10 + 30) / 2, abs=1e-4)


def test_whether_higher_is_better_is_known():
    better = {
        name: metric.higher_is_better
        for task in (BinaryClassification("edema"), Regression("age"))
        for name, metric in ready(task).metrics().items()
    }
    assert better == {"auroc": True, "accuracy": True, "mae": False}


@pytest.mark.parametrize(
    ("name", "kind", "outputs"), [("edema", "binary", 1), ("age", "regression", 1), ("gender", "multiclass", 3)]
)
def test_the_target_task_follows_from_the_label(name, kind, outputs):
    task = target_task(INFO, name)
    assert (task.name, task.kind, task.outputs) == (name, kind, outputs)
    assert task.decoder(FeatureInfo(5, (), (1, 8, 8)))(Features(torch.rand(3, 5))).shape == (3, outputs)
    assert not task.transforms


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_is_the_cross_entropy_of_smoothed_probabilities(smoothing):
    label = torch.tensor([2, 0, -1, 1])
    output = torch.randn(4, 3, dtype=torch.float64)
    known = label != -1
    smoothed = torch.full((3, 3), smoothing / 3, dtype=torch.float64)
    smoothed[torch.arange(3), label[known]] += 1 - smoothing
    task = target_task(INFO, "gender", label_smoothing=smoothing)
    expected = -(smoothed * output[known].log_softmax(1)).sum(1)
    torch.testing.assert_close(task.loss(output, label)[known], expected)
    assert task.loss(output, label)[~known].item() == 0


@pytest.mark.parametrize(("smoothing", "weight"), [(0.1, 1.0), (0.9, 2.5)])
def test_binary_label_smoothing_moves_both_labels_to_the_middle(smoothing, weight):
    label = torch.tensor([1, 0, -1])
    probability = torch.tensor([1 - smoothing / 2, smoothing / 2])
    assert_masked(
        target_task(INFO, "edema", weight, smoothing),
        label,
        label == -1,
        lambda logit, said: (
            -weight * probability * logit.sigmoid().log() - (1 - probability) * (-logit).sigmoid().log()
        ),
    )


@pytest.mark.parametrize(("name", "width"), [("gender", 3), ("edema", 1)])
def test_attacks_and_scores_are_of_the_label_itself(name, width):
    output, label = torch.randn(5, width), torch.tensor([0, 1, 1, 0, 1])
    plain, smoothed = target_task(INFO, name), target_task(INFO, name, label_smoothing=0.3)
    assert torch.equal(smoothed.attack_loss(output, label), plain.attack_loss(output, label))
    torch.testing.assert_close(plain.attack_loss(output, label), plain.loss(output, label))
    assert not torch.allclose(smoothed.loss(output, label), plain.loss(output, label))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: target_task(INFO, "age", label_smoothing=0.1), r"label_smoothing=0\.1.*'age' is a number"),
        (lambda: Classification("gender", 1.0), r"label_smoothing=1\.0"),
        (lambda: target_task(INFO, "oedema"), "no label 'oedema'; it has: age, edema, gender, hernia"),
        (lambda: target_task(INFO, "age", 2.0), r"pos_weight=2\.0.*the label 'age' is regression"),
        (
            lambda: ready(Classification("edema")),
            "'edema' of 'toy' is binary, and this task needs a multiclass",
        ),
        (lambda: ready(Regression("gender")), "is multiclass, and this task needs a regression one"),
        (lambda: ready(BinaryClassification("age")), "is regression, and this task needs a binary one"),
        (lambda: ready(BinaryClassification("hernia", "balanced")), r"must have negatives and positives.*\[40, 0\]"),
        (lambda: BinaryClassification("edema", 0), r"pos_weight=0: .*a number above 0"),
        (lambda: BinaryClassification("edema", "balance"), r"pos_weight='balance'"),
    ],
)
def test_what_cannot_work_says_why(make, message):
    with pytest.raises(ValueError, match=message):
        make()

"""The project that ``docs/extend.md`` shows: its files stand on the page, and each of its parts does its work."""

import csv
import json
import re
from itertools import combinations

import pytest
import torch
from my_gat.agreement import Agreement
from my_gat.bars import Bars
from my_gat.inversion import Inversion
from my_gat.r_fgsm import RFGSM
from my_gat.small_network import SmallNetwork

from gat_lightning import BatchGenerator, LossProblem, Shard, load_classifier, load_model
from gat_lightning.commands.evaluate.run import run as evaluate
from gat_lightning.commands.train.run import run as train
from support.documents import REPOSITORY
from support.stand_ins import EXTENSION
from support.training_runs import leave_out_picture
from support.typed_commands import composed, quietly

CONF = ["--config-dir", str(EXTENSION / "conf")]


def files_of_the_project():
    found = (path for kind in ("*.py", "*.yaml", "*.toml") for path in EXTENSION.rglob(kind))
    return {path.relative_to(EXTENSION).as_posix(): path.read_text() for path in found if path.name[:5] != "test_"}


def files_on_the_page():
    text = (REPOSITORY / "docs" / "extend.md").read_text()
    return dict(re.findall(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def test_the_page_shows_the_files_as_they_are():
    assert files_on_the_page() == files_of_the_project()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training of ``experiment=bars``, shorter than on the page."""
    directory = tmp_path_factory.mktemp("runs") / "bars"
    directory.mkdir()
    words = [
        *CONF,
        "experiment=bars",
        "trainer.max_epochs=3",
        "trainer.log_every_n_steps=1",
        f"paths.run={directory}",
        "~callbacks.curves",
    ]
    with pytest.MonkeyPatch.context() as patch:
        leave_out_picture(patch)
        quietly(train, *composed("train", words))
    return directory


def steps(run):
    """The steps that ``metrics.csv`` has with every column, ``{column: [values]}``."""
    with (run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["norm/class/clean+adv"]]
    return {name: torch.tensor([float(row[name]) for row in rows]) for name in rows[0] if rows[0][name]}


def test_the_training_learns_the_data_set(run):
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "finished"
    assert "bars: 900 training images" in result["introduction"]["data"]
    assert "r_fgsm (Linf, eps 0.1)" in result["introduction"]["attack"]
    assert result["metrics"]["best"]["test/clean/accuracy"] > 0.9  # of three classes


def test_each_task_has_an_objective_and_learns(run):
    columns = steps(run)
    for task in ("class", "inversion", "thickness"):
        losses = columns[f"objective/{task}/clean+adv"]
        assert losses[-5:].mean() < losses[:5].mean()


def test_the_weights_follow_from_the_agreement_of_the_logged_gradients(run):
    columns = steps(run)
    names = [name.removeprefix("norm/") for name in columns if name.startswith("norm/")]
    norms = torch.stack([columns[f"norm/{name}"] for name in names])
    gramian = norms * norms[:, None]
    for (row, a), (column, b) in combinations(enumerate(names), 2):
        cosine = columns[f"cosine/{b}|{a}"]
        gramian[row, column] *= cosine
        gramian[column, row] *= cosine
    expected = torch.stack([Agreement()(each) for each in gramian.unbind(2)], 1)
    logged = torch.stack([columns[f"weight/{name}"] for name in names])
    torch.testing.assert_close(logged.double(), expected, rtol=1e-3, atol=1e-4)


def test_the_checkpoint_makes_the_model_and_its_tasks_again(run):
    path = run / "checkpoints" / "best.ckpt"
    assert isinstance(load_classifier(path), SmallNetwork)
    assert [type(task).__name__ for task in load_model(path)[1]] == ["Classification", "Inversion", "Classification"]


def test_the_evaluation_attacks_with_the_attack(run, tmp_path):
    words = [*CONF, f"checkpoint={run}/checkpoints/best.ckpt", "evaluation=r_fgsm", "pictures=false"]
    (config,) = composed("evaluate", [*words, f"paths.run={tmp_path}", "images=50"])
    quietly(evaluate, config)
    scores = json.loads((tmp_path / "result.json").read_text())["metrics"]["best"]
    assert scores["test/r_fgsm/accuracy"] <= scores["test/clean/accuracy"]


def test_the_sweep_has_the_options_of_both_folders():
    configs = composed("train", [*CONF, "-m", "experiment=bars_sweep"])
    assert {config.name for config in configs} == {"bars"}
    assert {config.weighting._target_.rpartition(".")[2] for config in configs} == {"Equal", "Agreement"}


def test_inversion_inverts_the_images_of_its_label():
    task, images = Inversion(), torch.rand(64, 1, 4, 4)
    task.setup(Bars(images=4).info)
    shown, labels = task.prepare(images, {}, BatchGenerator(Shard.whole(64), 0))
    inverted = labels["inversion"] == 1
    assert 0 < inverted.sum() < 64
    assert torch.equal(shown[inverted], 1 - images[inverted])
    assert torch.equal(shown[~inverted], images[~inverted])


@pytest.mark.parametrize("norm", ["Linf", "L2"])
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_r_fgsm_is_in_the_ball_and_draws_its_first_step(norm, share):
    images = 0.3 + 0.4 * torch.rand(8, 1, 4, 4)
    brightness = LossProblem(lambda x: x.flatten(1).sum(1))
    attack = RFGSM(share=share, norm=norm, eps=0.1)
    found = [attack(brightness, images, BatchGenerator(Shard.whole(8), seed)) for seed in (0, 1)]
    for each in found:
        change = (each - images).flatten(1)
        assert change.norm(p=torch.inf if norm == "Linf" else 2, dim=1).max() <= 0.1 + 1e-6
        assert share == 1 or (change.sum(1) > 0).all()
    assert torch.equal(*found) == (share == 0)


def test_agreement_leaves_out_what_opposes_the_sum():
    gradients = torch.tensor([[2.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    assert Agreement()(gradients @ gradients.T).tolist() == pytest.approx([4 / 7, 3 / 7, 0])
    assert Agreement()(torch.zeros(2, 2)).tolist() == [0, 0]


def test_bars_are_brighter_than_the_ground_and_thick_ones_are_wider():
    splits = Bars(images=200).load()
    bright = (splits.train.images > 125).sum((1, 2, 3))
    thick = splits.train.labels["thickness"] == 1
    assert bright[thick].float().mean() > 1.5 * bright[~thick].float().mean()
    assert len(splits.test.images) == 100

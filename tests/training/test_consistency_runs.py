"""Trainings with ``unlabeled.mode=consistency``."""

from dataclasses import replace

import pytest
import torch

from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.check import check
from gat_lightning.errors import UserError
from gat_lightning.methods import Consistency, Madry
from gat_lightning.randomness import Shard
from support.training_runs import SHORT, leave_out_picture, rows, tiny, trained
from support.training_steps import gradients_after, largest_difference
from support.xray_folders import chexpert_folder

REST = ("data.unlabeled=rest", "unlabeled.mode=consistency", "data.fraction=0.05")
COLUMNS = ("objective/class/consistency", "coefficient/class/consistency")


def test_settings_reach_the_method(tmp_path):
    settings = {"coefficient": 2.5, "ramp": 0.5, "detach": True, "images": "all"}
    config = tiny(tmp_path, *REST, *(f"unlabeled.{name}={value}" for name, value in settings.items()))
    method = build_module(config, build_data(config).info).method
    assert isinstance(method, Consistency)
    assert (method.coefficient, method.ramp, method.detach) == (2.5, 0.5, True)
    expected = Consistency(Madry(), **settings)
    assert {key: value for key, value in vars(method).items() if key != "method"} == {
        key: value for key, value in vars(expected).items() if key != "method"
    }


@pytest.mark.parametrize("mode", ["auto", "off", "pseudo_label"])
def test_other_modes_have_the_method_alone(tmp_path, mode):
    config = tiny(tmp_path, *REST, f"unlabeled.mode={mode}")
    assert type(build_module(config, build_data(config).info).method) is Madry


@pytest.mark.parametrize("mode", ["consistency", "both"])
def test_a_method_without_adversarial_images_is_refused(tmp_path, mode):
    config = tiny(tmp_path, *REST, f"unlabeled.mode={mode}", "method=standard")
    with pytest.raises(
        UserError, match=f"unlabeled.mode={mode} compares .*method=standard makes none of these"
    ) as error:
        check(config)
    assert "\n" not in str(error.value)


def test_a_run_without_such_images_ends_before_its_first_step(tmp_path):
    with pytest.raises(UserError, match="all training images have the label 'class'"):
        trained(tmp_path / "run", "unlabeled.mode=consistency")
    assert not any((tmp_path / "run").glob("checkpoints/*.ckpt"))


def test_all_images_need_none_without_a_label(tmp_path, monkeypatch):
    leave_out_picture(monkeypatch)
    settings = ["unlabeled.mode=consistency", "unlabeled.images=all", "unlabeled.ramp=0", "curvature.mode=off", *SHORT]
    trained(tmp_path / "run", *settings)
    assert min(float(row[name]) for row in rows(tmp_path / "run") for name in COLUMNS if row[name]) > 0


def test_a_table_with_blanks_in_the_target_trains(tmp_path, monkeypatch):
    """A quarter of the images has no label of it."""
    leave_out_picture(monkeypatch)
    root = chexpert_folder(tmp_path / "data")
    size = [f"data.root={root}", "data.size=8", "data.batch_size=16", "data.fraction=1", "data.per_patient=all"]
    result = trained(
        tmp_path / "run", "data=chexpert", "task=none", "method=madry", "weighting=mgda", *size,
        "unlabeled.mode=consistency", "unlabeled.ramp=0", "data.workers=0", "trainer.max_epochs=1",
    )  # fmt: skip
    assert result["status"] == "finished"
    said = result["introduction"]["objectives"]
    assert said == "edema/clean+adv; added to the weighed ones: edema/consistency"
    found = [row for row in rows(tmp_path / "run") if row["objective/edema/consistency"]]
    assert found
    for row in found:
        assert float(row["objective/edema/consistency"]) > 0
        assert float(row["coefficient/edema/consistency"]) == pytest.approx(3 * float(row["weight/edema/clean+adv"]))
    assert not any("consistency" in name for name in found[0] if name.startswith(("weight/", "norm/", "cosine/")))


def table_with_blanks(tmp_path, *words):
    """Data of a table in CheXpert's format whose target has blanks, and a way to make modules for them."""
    root = tmp_path / "data"
    size = (f"data.root={root}", "data.size=8", "data.batch_size=32", "data.fraction=1", "data.per_patient=all")
    plain = ("encoder._target_=support.plain_encoder.plain_encoder", "~encoder.width", "attack.random_start=none")
    ours = ("data=chexpert", "data.target=edema", "data.workers=0", *size, *plain, "curvature.mode=off", *words)
    config = tiny(tmp_path / "run", *ours)
    data = build_data(config)
    data.setup()

    def step(batch, mode, coefficient=0):
        """Gradients and figures of one step on a batch."""
        config.unlabeled.mode, config.unlabeled.coefficient = mode, coefficient
        torch.manual_seed(0)
        module = build_module(config, data.info).double()
        return gradients_after(module, batch), module.last_step

    return data, step


@pytest.mark.parametrize(
    "words", [("method=madry_separate", "weighting=mgda"), ("method=adversarial", "weighting=equal")]
)
def test_blanks_of_a_table_take_part_and_labelled_images_count_as_without_them(tmp_path, words):
    chexpert_folder(tmp_path / "data")
    data, step = table_with_blanks(tmp_path, *words, "task=none", "unlabeled.ramp=0")
    batch = next(iter(data.train_dataloader()))
    batch = replace(batch, images=batch.images.double())
    blank = batch.labels["edema"] == -1
    assert 0 < blank.sum() < len(blank)

    off, before = step(batch, "off")
    alone = replace(
        batch[0 : int((~blank).sum())],
        images=batch.images[~blank],
        labels={name: label[~blank] for name, label in batch.labels.items()},
        shard=Shard.whole(int((~blank).sum())),
    )
    losses, weights = (pytest.approx(each.tolist(), rel=1e-7) for each in (before.losses, before.weights))
    gradients, of_labelled = step(alone, "off")
    assert of_labelled.losses.tolist() == losses
    assert largest_difference(gradients, off) < 1e-9

    steps = {}
    for coefficient in (0, 1, 3):
        gradients, now = step(batch, "consistency", coefficient)
        assert (now.losses.tolist(), now.weights.tolist()) == (losses, weights)
        assert now.followers["edema/consistency"][0] > 0
        steps[coefficient] = {name: gradients[name] - off[name] for name in off}
    assert max(each.abs().max() for each in steps[0].values()) < 1e-9
    assert max(each.abs().max() for each in steps[1].values()) > 1e-6
    for name, change in steps[3].items():
        torch.testing.assert_close(change, 3 * steps[1][name], rtol=0, atol=1e-8)

    others = replace(batch, images=torch.where(blank[:, None, None, None], batch.images.flip(0), batch.images))
    changed = step(others, "consistency")[1]
    assert changed.losses.tolist() == losses
    assert changed.followers["edema/consistency"] != now.followers["edema/consistency"]

import pytest

from gat_lightning.data import ROBIN
from gat_lightning.data.robin import CLASSES, NUISANCES
from gat_lightning.errors import UserError
from support.robin_folders import fill


@pytest.fixture
def root(tmp_path):
    fill(tmp_path / "ROBIN-cls-train", CLASSES, 5)
    return tmp_path


def ready(root, **settings):
    data = ROBIN(root=root, size=4, batch_size=8, **settings)
    data.setup()
    return data


def test_the_official_test_pictures_have_a_nuisance_each(root):
    fill(root / "ROBIN-cls-val", [f"{nuisance}/{cls}" for nuisance in NUISANCES[:5] for cls in CLASSES[:4]], 1)
    data = ready(root)
    assert [len(data.split(name)) for name in ("train", "val", "test")] == [45, 5, 20]
    for index, path in enumerate(data.records.paths):
        parts = path.split("/")
        assert data.records.labels["class"][index] == CLASSES.index(parts[-2])
        assert data.records.labels["nuisance"][index] == (NUISANCES.index(parts[1]) if len(parts) == 4 else -1)
    batch = next(iter(data.test_dataloader()))
    assert batch.images.shape == (8, 3, 4, 4)
    assert set(batch.labels) == set(data.info.labels) == {"class", "nuisance", "macro"}
    vehicles = {CLASSES[cls] for cls in batch.labels["class"][batch.labels["macro"] == 0]}
    assert not vehicles & {"chair", "diningtable", "sofa"}
    assert data.split("test").labels["nuisance"].bincount().tolist() == [4] * 5


def test_test_pictures_are_drawn_by_class_where_there_are_none(root):
    first, other = ready(root), ready(root, seed=5)
    assert first.split("test").labels["class"].bincount().tolist() == [1] * 10
    assert first.parts["test"].tolist() == other.parts["test"].tolist()
    assert first.parts["val"].tolist() != other.parts["val"].tolist()


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("ROBIN-cls-train/cat", "folders of no class of ROBIN: cat; its classes are aeroplane"),
        ("ROBIN-cls-val/car", "has a folder 'car'; expected are shape, pose"),
    ],
)
def test_folders_that_do_not_belong(root, folder, message):
    fill(root, [folder], 1)
    with pytest.raises(UserError, match=message):
        _ = ROBIN(root=root).info


def test_nuisances_as_a_target_need_training_pictures_that_have_one(root):
    fill(root / "ROBIN-cls-val", [f"{nuisance}/{cls}" for nuisance in NUISANCES for cls in CLASSES[:4]], 1)
    with pytest.raises(
        UserError, match=r"none of 45 training pictures has a nuisance without data\.csv; set data\.csv"
    ):
        _ = ROBIN(root=root, target="nuisance").info
    pytest.importorskip("pandas", reason="needs gat-lightning[medical]")
    table = root / "nuisances.csv"
    table.write_text("path;class;pose\n" + "".join(f"{image}.png;car;\n" for image in range(5)))
    with pytest.raises(UserError, match=r"has a nuisance in data\.csv=.*nuisances\.csv; set"):
        _ = ROBIN(root=root, target="nuisance", csv=table).info
    table.write_text("path;class;pose\n" + "".join(f"{image}.png;car;1\n" for image in range(5)))
    assert sum(ROBIN(root=root, target="nuisance", csv=table).info.labels["nuisance"].counts) > 0


def test_missing_folders(root, tmp_path):
    with pytest.raises(UserError, match="has no folder ROBIN-cls-train"):
        _ = ROBIN(root=tmp_path / "ROBIN-cls-train").info
    for path in (root / "ROBIN-cls-train" / "boat").iterdir():
        path.unlink()
    (root / "ROBIN-cls-train" / "boat").rmdir()
    with pytest.raises(UserError, match="no training picture of the class 'boat'"):
        _ = ROBIN(root=root).info

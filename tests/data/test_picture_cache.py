import pytest
import torch
from PIL import Image

from gat_lightning.data import NIH
from gat_lightning.data import cache as cache_module
from gat_lightning.errors import UserError
from support.xray_folders import SIZE, nih_folder

pytest.importorskip("pandas", reason="needs gat-lightning[medical]")


@pytest.fixture
def root(tmp_path):
    return nih_folder(tmp_path / "nih", patients=20)


def ready(root, **settings):
    data = NIH(**{"root": root, "size": SIZE, "target": "cardiomegaly", "batch_size": 6, **settings})
    data.setup()
    return data


def batches(data):
    loaders = (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    return [batch for loader in loaders for batch in loader]


def assert_same(first, second):
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.index, other.index)
        assert all(
            torch.equal(one.labels[name].nan_to_num(-9), other.labels[name].nan_to_num(-9)) for name in one.labels
        )


@pytest.mark.parametrize("damaged", [False, True])
def test_a_cache_gives_the_same_batches_bit_by_bit(root, tmp_path, damaged, caplog):
    if damaged:
        next((root / "images_001" / "images").iterdir()).write_bytes(b"")
    settings = {"on_error": "skip" if damaged else "stop"}
    plain = ready(root, **settings)
    cached = ready(root, cache=tmp_path / "cache", **settings)
    again = ready(root, cache=tmp_path / "cache", **settings)
    assert plain.info == cached.info == again.info
    assert_same(batches(plain), batches(cached))
    assert_same(batches(plain), batches(again))
    assert len(caplog.records) == 3 * damaged


def test_a_cache_is_decoded_once_and_for_all_seeds_and_fractions(root, tmp_path, monkeypatch):
    first = ready(root, cache=tmp_path / "cache")
    for module in ("cache", "listed", "dataset"):
        monkeypatch.setattr(f"gat_lightning.data.{module}.decode_pictures", lambda *_: pytest.fail("decoded again"))
    assert_same(batches(first), batches(ready(root, cache=tmp_path / "cache")))
    ready(root, cache=tmp_path / "cache", seed=3, fraction=0.8, target="atelectasis")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_other_or_changed_pictures_have_another_cache(root, tmp_path):
    folder = tmp_path / "cache"
    ready(root, cache=folder)
    before = set(folder.iterdir())
    ready(root, cache=folder, size=4)
    ready(root, cache=folder, per_patient="all")
    Image.new("L", (SIZE, SIZE), 7).save(root / "images_001" / "images" / "00000002_000.png")
    changed = ready(root, cache=folder)
    assert len(set(folder.iterdir()) - before) == 3
    assert_same(batches(changed), batches(ready(root)))


def test_an_interrupted_cache_leaves_nothing(root, tmp_path, monkeypatch):
    calls = []

    def decode(paths, *others):
        calls.append(paths)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(paths, *others)

    original = cache_module.decode_pictures
    monkeypatch.setattr(cache_module, "decode_pictures", decode)
    monkeypatch.setattr(cache_module, "_CHUNK", 8)
    with pytest.raises(KeyboardInterrupt):
        ready(root, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("pixels.bin", lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])),
        ("pixels.bin", lambda path: path.write_bytes(b"")),
        ("pixels.bin", lambda path: path.unlink()),
        ("content.json", lambda path: path.write_text(path.read_text()[:12])),
        ("content.json", lambda path: path.write_text("")),
        ("content.json", lambda path: path.write_text(path.read_text().replace("20", "19"))),
        ("content.json", lambda path: path.write_text("[1]")),
        ("content.json", lambda path: path.unlink()),
    ],
)
def test_a_truncated_cache_is_made_again(root, tmp_path, name, damage, caplog):
    folder = tmp_path / "cache"
    ready(root, cache=folder)
    [cache] = folder.iterdir()
    damage(cache / name)
    mended = ready(root, cache=folder)
    assert [record.message for record in caplog.records] == [
        f"data.cache: {cache} is incomplete, as after an interrupted copy; it is made again"
    ]
    assert_same(batches(ready(root)), batches(mended))
    assert list(folder.iterdir()) == [cache]
    caplog.clear()
    ready(root, cache=folder)
    assert not caplog.records


def test_two_processes_may_build_at_once(root, tmp_path):
    data = ready(root)
    arguments = (tmp_path / "cache", "nih", root, data.records.paths, (SIZE, SIZE), 1)
    first, second = cache_module.PictureCache(*arguments), cache_module.PictureCache(*arguments)
    publish = first._publish

    def late(partial):
        second.build()
        publish(partial)

    first._publish = late
    first.build()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [first.path.name]
    assert first.open().images.shape == (20, 1, SIZE, SIZE)


def test_places_that_cannot_hold_a_cache(root, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"data\.cache: .*file cannot be written to"):
        ready(root, cache=tmp_path / "file")
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"data\.cache: 20 pictures need 0\.0 GiB, and .* has 0\.0 GiB left"):
        ready(root, cache=tmp_path / "cache")


@pytest.mark.slow
@pytest.mark.parametrize("cached", [False, True])
def test_workers_do_not_change_the_batches_of_listed_pictures(root, tmp_path, cached):
    cache = tmp_path / "cache" if cached else None
    assert_same(batches(ready(root, cache=cache)), batches(ready(root, cache=cache, workers=2)))

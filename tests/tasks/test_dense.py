import pickle

import pytest
import skimage
import torch
from skimage.feature import hog

from gat_lightning.attacks import PGD
from gat_lightning.batch import Batch
from gat_lightning.curvature.terms import Curvature
from gat_lightning.evaluation.task_gradients import measure_gradients
from gat_lightning.evaluation.vulnerability import measure_vulnerability
from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.models import FeatureInfo, MultiTaskModel, preact_resnet_small
from gat_lightning.randomness import BatchGenerator, Shard
from gat_lightning.tasks import HOG, Autoencoder, Classification, Depth, Jigsaw, histograms_of_gradients
from gat_lightning.tasks.depth import MiDaS
from gat_lightning.tasks.forward import TaskProblem, forward_pass
from gat_lightning.tasks.views import prepare_views
from support.training_runs import trained

SCRIPTS = pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated")


def info(channels=1, height=8, width=8, **labels):
    mean = (0.5,) * channels
    return DataInfo("toy", (channels, height, width), mean, mean, {"class": LabelInfo(("a", "b"))} | labels)


def ready(task, *image, **labels):
    task.setup(info(*image, **labels))
    return task


def label_of(task, images, **labels):
    return task.label(images, labels, BatchGenerator(Shard.whole(len(images)), 0))


def teacher(seed=0):
    """With a mode, statistics and parameters that must not change."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3), torch.nn.BatchNorm2d(1), torch.nn.Dropout(0.5))


def patches(side, count):
    """Pictures of real things, uint8 [count, side, side, 3]."""
    pictures = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    cut = [
        torch.from_numpy(picture).unfold(0, side, side).unfold(1, side, side).permute(0, 1, 3, 4, 2).flatten(0, 1)
        for picture in pictures
    ]
    every = torch.cat(cut)
    return every[:: len(every) // count][:count]


def reference(images, orientations, cell, block):
    """[B, rows, columns of blocks, rows, columns of cells, orientations] by scikit-image, image by image."""
    found = [
        torch.from_numpy(
            hog(
                image.permute(1, 2, 0).numpy(),
                orientations,
                (cell, cell),
                (block, block),
                block_norm="L2-Hys",
                feature_vector=False,
                channel_axis=-1,
            )
        )
        for image in images
    ]
    return torch.stack(found)


@pytest.mark.parametrize(
    ("side", "channels", "settings"),
    [(32, 3, (9, 4, 2)), (32, 1, (9, 8, 3)), (28, 3, (8, 3, 2)), (33, 3, (4, 5, 1)), (8, 1, (9, 2, 2))],
)
def test_hog_equals_that_of_scikit_image(side, channels, settings):
    images = patches(side, 200).permute(0, 3, 1, 2)[:, :channels].float() / 255
    wanted = reference(images, *settings)
    assert len(wanted) == 200
    wanted = wanted.flatten(3).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(histograms_of_gradients(images, *settings), wanted, atol=1e-5, rtol=0)


def test_hog_of_numbers_in_double_precision_and_of_flat_and_tiny_images():
    images = torch.rand(6, 3, 24, 20, dtype=torch.float64)
    images[0], images[1] = 0.3, images[1] * 1e-7
    wanted = reference(images, 9, 4, 2).flatten(3).permute(0, 3, 1, 2)
    torch.testing.assert_close(histograms_of_gradients(images, 9, 4, 2), wanted, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("image", "cell", "shape"),
    [
        ((1, 8, 8), 2, (36, 3, 3)),
        ((1, 28, 28), 3, (36, 8, 8)),
        ((3, 32, 32), 4, (36, 7, 7)),
        ((3, 96, 64), 8, (36, 11, 7)),
        ((3, 256, 256), 8, (36, 31, 31)),
    ],
)
def test_cells_suit_the_image_size(image, cell, shape):
    task = ready(HOG(), *image)
    assert task.shape == shape
    images = torch.rand(2, *image)
    assert torch.equal(label_of(task, images), histograms_of_gradients(images, 9, cell, 2))
    assert task.shape == label_of(task, images).shape[1:]


def test_autoencoder_wants_the_image_it_gets_after_earlier_tasks():
    images = torch.rand(5, 1, 8, 8)
    jigsaw, autoencoder = ready(Jigsaw()), ready(Autoencoder())
    batch = Batch(images, {}, torch.arange(5), Shard.whole(5))
    views = prepare_views(batch, [jigsaw, autoencoder], lambda purpose: BatchGenerator(batch.shard, purpose), False)
    assert not torch.equal(views.images, images)
    assert torch.equal(views.labels["autoencoder"], views.images)
    views = prepare_views(batch, [jigsaw, autoencoder], lambda purpose: BatchGenerator(batch.shard, purpose), True)
    assert torch.equal(views.labels["autoencoder"], images)


def test_loss_is_the_mean_absolute_difference_and_nothing_where_the_label_is_missing():
    task = ready(Autoencoder(), 2, 3, 4)
    output = torch.randn(4, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    label = torch.rand(4, 2, 3, 4, dtype=torch.float64)
    label[1] = float("nan")
    label[3, 0, 0, 0] = float("nan")
    loss = task.loss(output, label)
    loss.sum().backward()
    for sample in (0, 2):
        torch.testing.assert_close(loss[sample], (output[sample] - label[sample]).abs().mean())
    for sample in (1, 3):
        assert loss[sample] == 0
        assert (output.grad[sample] == 0).all()
    assert torch.autograd.gradcheck(lambda x: task.loss(x, label), output)


def test_metrics_leave_out_missing_labels():
    metrics = ready(Autoencoder()).metrics()
    output, label = torch.rand(6, 1, 8, 8), torch.rand(6, 1, 8, 8)
    label[2] = float("nan")
    metrics.update(output[:3], label[:3])
    metrics.update(output[2:3], label[2:3])
    metrics.update(output[3:], label[3:])
    found, difference = metrics.compute(), (output - label)[[0, 1, 3, 4, 5]]
    assert list(found) == ["l1", "psnr"]
    torch.testing.assert_close(found["l1"], difference.abs().mean())
    torch.testing.assert_close(found["psnr"], -10 * difference.square().mean().log10())


def test_depth_is_the_teachers_scaled_to_the_unit_interval_and_never_part_of_the_model():
    original = teacher().train()
    before = {key: value.clone() for key, value in original.state_dict().items()}
    task = ready(Depth(original), 1, 9, 7)
    images = torch.rand(4, 1, 9, 7, requires_grad=True)
    label = label_of(task, images)
    assert label.shape == (4, 1, 9, 7)
    assert not label.requires_grad
    assert torch.equal(label.amin((1, 2, 3)), torch.zeros(4))
    assert torch.equal(label.amax((1, 2, 3)), torch.ones(4))
    assert torch.equal(label_of(task, images), label)  # in eval mode there is no dropout
    assert all(torch.equal(value, before[key]) for key, value in original.state_dict().items())
    assert original.training
    classifier = preact_resnet_small(num_classes=2, image=(1, 9, 7), mean=[0.5], std=[0.5], width=4)
    model = MultiTaskModel(classifier, "class", (1, 9, 7), [task])
    assert not {id(p) for p in task.load_teacher().parameters()} & {id(p) for p in model.parameters()}
    model.train()
    assert not task.load_teacher().training


def test_a_constant_map_is_zero_and_one_that_is_not_finite_is_missing():
    maps = torch.rand(3, 1, 4, 4)
    maps[0], maps[1, 0, 2, 2] = 0.7, float("inf")
    task = ready(Depth(None), 1, 4, 4, depth=LabelInfo(()))
    label = label_of(task, torch.rand(3, 1, 4, 4), depth=maps)
    assert (label[0] == 0).all()
    assert task.loss(torch.ones(3, 1, 4, 4), label)[1] == 0
    torch.testing.assert_close(label[2], (maps[2] - maps[2].min()) / (maps[2].max() - maps[2].min()))


def test_a_teacher_made_late_draws_nothing_from_the_run():
    node = {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": 3}
    images, labels = torch.rand(2, 1, 8, 8), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        labels.append(label_of(ready(Depth(node)), images))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*labels)


@SCRIPTS
def test_a_torchscript_file_is_a_teacher_that_another_process_loads_itself(tmp_path):
    module, path, images = teacher().eval(), tmp_path / "teacher.pt", torch.rand(3, 1, 8, 8)
    torch.jit.trace(module, images).save(path)
    task = ready(Depth(str(path)))
    torch.testing.assert_close(label_of(task, images), label_of(ready(Depth(module)), images))
    assert torch.equal(label_of(pickle.loads(pickle.dumps(task)), images), label_of(task, images))


class Malicious:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


@SCRIPTS
@pytest.mark.parametrize("content", [Malicious(), {"weight": torch.zeros(2)}])
def test_pickles_are_refused_and_not_opened(tmp_path, content):
    path = tmp_path / "teacher.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"a TorchScript file.*torch\.jit\.trace"):
        Depth(str(path)).load_teacher()


@SCRIPTS
@pytest.mark.filterwarnings("ignore:Converting a tensor to a Python:torch.jit.TracerWarning")
def test_midas_as_a_file_gets_normalised_colour_images_with_sides_divisible_by_32(tmp_path):
    seen = []

    class Network(torch.nn.Module):
        def forward(self, images):
            seen.append(images)
            return images.mean(1)

    images = torch.full((2, 1, 28, 56), 0.485)
    images[:, :, 0] = 1
    midas = MiDaS(Network())
    label = label_of(ready(Depth(midas), 1, 28, 56), images)
    assert label.shape == (2, 1, 28, 56)
    assert seen[0].shape == (2, 3, 128, 256)
    assert seen[0][:, 0, 64:].abs().max() < 1e-5
    torch.testing.assert_close(seen[0][:, 1, 64:], torch.full((2, 64, 256), (0.485 - 0.456) / 0.224))
    torch.jit.trace(midas, torch.rand(2, 1, 28, 56)).save(tmp_path / "midas.pt")
    five = torch.rand(5, 1, 28, 56)
    torch.testing.assert_close(
        label_of(ready(Depth(str(tmp_path / "midas.pt")), 1, 28, 56), five),
        label_of(ready(Depth(midas), 1, 28, 56), five),
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ready(Autoencoder()).decoder(FeatureInfo(4, (), (1, 8, 8))), r"'autoencoder'.*has none"),
        (lambda: HOG(orientations=0), r"orientations=0"),
        (lambda: HOG(pixels_per_cell=2.5), r"pixels_per_cell=2\.5"),
        (lambda: ready(HOG(pixels_per_cell=5)), r"2 x 2 cells of 5 x 5 pixels does not fit into the 8 x 8 pixels"),
        (lambda: ready(Depth(None)), r"teacher=None.*'toy' has no label 'depth', only class"),
        (lambda: Depth("nowhere.pt").load_teacher(), r"nowhere\.pt'.*a file that exists"),
        (lambda: Depth({"_target_": "builtins.dict"}).load_teacher(), r"_target_ made a dict"),
        (lambda: label_of(ready(Depth(torch.nn.Conv2d(3, 1, 1))), torch.rand(2, 1, 8, 8)), r"cannot process images"),
        (lambda: label_of(ready(Depth(torch.nn.Flatten())), torch.rand(2, 1, 8, 8)), r"returned \[2, 64\]"),
        (lambda: label_of(ready(Depth(torch.nn.Conv2d(1, 2, 1))), torch.rand(2, 1, 8, 8)), r"one channel"),
        (
            lambda: label_of(
                ready(Depth(None), depth=LabelInfo(())), torch.rand(2, 1, 8, 8), depth=torch.rand(2, 1, 4, 4)
            ),
            r"size of the images, not \[2, 1, 4, 4\]",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.fixture
def setting():
    """A model with all dense tasks, its tasks, and a batch."""
    torch.manual_seed(0)
    target = Classification("class")
    tasks = [target, HOG(), Autoencoder(), Depth(teacher())]
    for task in tasks:
        task.setup(info())
    classifier = preact_resnet_small(num_classes=2, image=(1, 8, 8), mean=[0.5], std=[0.5], width=4)
    model = MultiTaskModel(classifier, "class", (1, 8, 8), tasks[1:])
    batch = Batch(torch.rand(6, 1, 8, 8), {"class": torch.arange(6) % 2}, torch.arange(6), Shard.whole(6))
    return model, tasks, batch


def test_an_attack_on_all_tasks_increases_their_losses(setting):
    model, tasks, batch = setting
    views = prepare_views(batch, tasks, lambda purpose: BatchGenerator(batch.shard, purpose), True)
    for attacked in (tasks, tasks[1:], tasks[3:]):
        problem = TaskProblem(model, views, attacked)
        adversarial = PGD(eps=0.1)(problem, batch.images, BatchGenerator(batch.shard, "attack"))
        model.eval()
        assert (problem.loss(adversarial) > problem.loss(batch.images)).all()
        model.train()


def test_curvature_terms_of_dense_tasks_reach_the_encoder(setting):
    model, tasks, batch = setting
    names = [task.name for task in tasks]
    views = prepare_views(batch, tasks, lambda purpose: BatchGenerator(batch.shard, purpose), True)
    clean = forward_pass(model, batch.images.requires_grad_(), views, tasks)
    terms = Curvature()(clean, names, lambda *_: None)
    assert [term.name for term in terms] == ["hog/curvature", "autoencoder/curvature", "depth/curvature"]
    for term in terms:
        gradients = torch.autograd.grad(term.loss, model.shared_parameters(), retain_graph=True, allow_unused=True)
        assert sum(float(g.square().sum()) for g in gradients if g is not None) > 0


def test_vulnerability_and_task_gradients_are_measured(setting):
    model, tasks, batch = setting
    found = measure_vulnerability(model, tasks, [batch], {"pgd": PGD(eps=0.05, steps=3)})["pgd"]
    assert set(found.tasks) == {"class", "hog", "autoencoder", "depth"}
    assert found.joint.vulnerability > 0
    assert len(measure_gradients(model, tasks, [batch])) == 6


@pytest.mark.slow
@pytest.mark.parametrize("task", ["hog", "autoencoder", "depth", "hog+autoencoder"])
@pytest.mark.parametrize("space", ["parameters", "representation"])
@SCRIPTS
def test_a_run_trains_and_its_checkpoint_has_nothing_of_the_teacher(tmp_path, undrawn, task, space):
    path = tmp_path / "teacher.pt"
    torch.jit.trace(teacher().eval(), torch.rand(2, 1, 8, 8)).save(path)
    choice = [f"task.depth.teacher={path}"] if task == "depth" else []
    result = trained(
        tmp_path / "run", f"task={task}", f"engine.space={space}", "curvature.mode=penalty", "attack.tasks=all", *choice
    )
    assert result["status"] == "finished"
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)
    heads = {key.split(".")[2] for key in checkpoint["state_dict"] if key.startswith("model.decoders.")}
    assert heads == {"class", *task.split("+")}
    assert {key.split(".")[1] for key in checkpoint["state_dict"]} == {"encoder", "decoders"}

"""Tasks on classifiers of others: stages, normalisation, and what must not change."""

import copy
import pickle
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.transforms.v2 import functional as tvf

from gat_lightning.info import DataInfo, LabelInfo
from gat_lightning.models import FeatureInfo, Features, LinearDecoder, attach_tasks, preact_resnet_small
from gat_lightning.tasks import Autoencoder, BinaryClassification, Jigsaw, Macro, Regression, Rotation

IMAGE = (3, 64, 64)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


@dataclass
class Stub:
    name: str = "macro"

    def setup(self, data: DataInfo) -> None:
        pass

    def decoder(self, features: FeatureInfo) -> nn.Module:
        return LinearDecoder(features.dim, 4)


class Finest(nn.Module):
    """A decoder of the first and the last stage."""

    def __init__(self, features: FeatureInfo):
        super().__init__()
        self.fine, self.coarse = (nn.Conv2d(features.stages[i][0], 1, 1) for i in (0, -1))

    def forward(self, features: Features):
        return self.fine(features.stages[0]).mean((1, 2, 3)) + self.coarse(features.stages[-1]).mean((1, 2, 3))


class Dense(Stub):
    def decoder(self, features: FeatureInfo) -> nn.Module:
        return Finest(features)


class Own(nn.Module):
    """Somebody's network: nothing in it is an nn.Sequential."""

    def __init__(self, classes=5):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.backbone = nn.ModuleDict({"second": nn.Conv2d(4, 6, 3, stride=2, padding=1)})
        self.fc = nn.Linear(6, classes)

    def forward(self, x):
        x = torch.tanh(self.norm(self.first(x)))
        return self.fc(torch.tanh(self.backbone["second"](x)).mean((2, 3)))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("make", "stages"),
    [
        (models.resnet18, [(64, 32), (64, 16), (128, 8), (256, 4), (512, 2)]),
        (models.mobilenet_v3_small, [(16, 32), (16, 16), (24, 8), (48, 4), (576, 2)]),
        (models.shufflenet_v2_x0_5, [(24, 32), (24, 16), (48, 8), (96, 4), (1024, 2)]),
        (models.alexnet, [(64, 15), (192, 7), (256, 3)]),
        (Own, []),
    ],
)
def test_stages_of_convolutional_networks_are_found(make, stages):
    make = make if make is Own else lambda make=make: make(num_classes=5)
    classifier = make().eval()
    model = attach_tasks(classifier, [Stub()], image=IMAGE).eval()
    found = list(model.features.stages)
    assert [(c, h) for c, h, _ in found][: len(stages)] == stages
    images = torch.rand(2, *IMAGE)
    features = model.encode(images)
    assert [tuple(stage.shape[1:]) for stage in features.stages] == found
    torch.testing.assert_close(model(images)["class"], classifier(images))
    single = model.single_task()
    assert type(single) is type(classifier)
    assert list(single.state_dict()) == list(classifier.state_dict())
    assert not any(module._forward_hooks for module in single.modules())
    make().load_state_dict(single.state_dict(), strict=True)


def test_tasks_learn_the_image_and_their_labels_from_what_they_are_attached_with():
    tasks = [
        Rotation(),
        Jigsaw(permutations=5),
        Autoencoder(),
        Macro(),
        BinaryClassification("round"),
        Regression("age"),
    ]
    labels = {
        "macro": LabelInfo(("vehicle", "animal", "plant")),
        "round": LabelInfo(("no", "yes"), "binary"),
        "age": LabelInfo((), "regression", scale=100.0),
    }
    model = attach_tasks(models.resnet18(num_classes=5), tasks, image=IMAGE, labels=labels).eval()
    outputs = model(torch.rand(2, *IMAGE))
    assert {name: tuple(output.shape[1:]) for name, output in outputs.items()} == {
        "class": (5,), "rotation": (4,), "jigsaw": (5,), "autoencoder": IMAGE,
        "macro": (3,), "round": (1,), "age": (1,),
    }  # fmt: skip
    assert tasks[-1].scale == 100


def test_all_labels_that_are_missing_are_named():
    tasks = [Rotation(), Macro(), Regression("age")]
    with pytest.raises(ValueError, match=r"labels=\['class'\].*with macro, age.*\{'macro': LabelInfo"):
        attach_tasks(Own(), tasks, image=IMAGE, labels={"class": LabelInfo(("a", "b"))})


def test_a_label_of_another_kind_and_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="'age' of 'the images' is multiclass"):
        attach_tasks(Own(), [Regression("age")], image=IMAGE, labels={"age": LabelInfo(("a", "b"))})
    with pytest.raises(ValueError, match=r"square.*64 x 32"):
        attach_tasks(Own(), [Rotation()], image=(3, 64, 32))


def test_transformers_have_no_stages():
    vit = models.VisionTransformer(64, 16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=5)
    model = attach_tasks(vit, [Stub()], image=IMAGE)
    assert model.features == FeatureInfo(dim=8, stages=(), image=IMAGE)


def test_channels_last_maps_are_no_stages():
    swin = models.SwinTransformer([4, 4], 12, [1, 1], [1, 2], [2, 2], num_classes=5)
    assert attach_tasks(swin, [Stub()], image=IMAGE).features.stages == ((24, 8, 8),)  # turned back at the end


@pytest.mark.parametrize("image", [(3, 64, 8), (3, 33, 64), (3, 200, 40), (3, 40, 200)])
def test_images_that_are_not_square(image):
    stages = attach_tasks(models.resnet18(num_classes=5), [], image=image).features.stages
    assert [c for c, _, _ in stages] == [64, 64, 128, 256, 512]


def test_named_submodules_are_the_stages():
    names = ("norm", "backbone.second")
    model = attach_tasks(Own(), [Dense()], image=IMAGE, stages=names)
    assert model.features.stages == ((4, 32, 32), (6, 16, 16))
    seen = {}
    for name in names:
        module = model.encoder.trunk.get_submodule(name)
        module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
    features = model.encode(torch.rand(2, *IMAGE))
    assert all(stage is seen[name] for name, stage in zip(names, features.stages, strict=True))


def test_no_stages_where_none_are_wanted():
    assert attach_tasks(models.resnet18(num_classes=5), [], image=IMAGE, stages=()).features.stages == ()


def test_own_features_method_goes_before():
    ours = preact_resnet_small(num_classes=5, image=(3, 8, 8), mean=MEAN, std=STD, width=4)
    assert len(attach_tasks(ours, [], image=(3, 8, 8)).features.stages) == 3
    assert attach_tasks(ours, [], image=(3, 8, 8), stages=("stages.1",)).features.stages == ((8, 4, 4),)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (("backbone.secnd",), "stages='backbone.secnd'.* a submodule of Own; did you mean backbone.second"),
        (("",), "stages=''.* a submodule of Own"),
        (("fc",), r"stages='fc'.* a feature map .*a tensor of 2 dimensions"),
        (("backbone.second", "norm"), "must be from fine to coarse"),
    ],
)
def test_wrong_stages_are_refused(stages, message):
    with pytest.raises(ValueError, match=message):
        attach_tasks(Own(), [], image=IMAGE, stages=stages)


def test_submodule_that_does_not_run_is_refused():
    own = Own()
    own.idle = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match=r"stages='idle'.* is called"):
        attach_tasks(own, [], image=IMAGE, stages=("idle",))


def test_normalisation_is_the_first_thing_and_the_model_is_not_changed():
    classifier = models.resnet18(num_classes=5).eval()
    model = attach_tasks(classifier, [Stub()], image=IMAGE, mean=MEAN, std=STD).eval()
    images = torch.rand(2, *IMAGE)
    expected = classifier(tvf.normalize(images, list(MEAN), list(STD)))
    torch.testing.assert_close(model(images)["class"], expected)
    torch.testing.assert_close(model.single_task()(images), expected)
    assert not classifier._forward_pre_hooks
    for half in ({"mean": MEAN}, {"std": STD}):
        with pytest.raises(ValueError, match="mean and std go together"):
            attach_tasks(classifier, [], image=IMAGE, **half)


def made():
    return attach_tasks(Own(), [Dense()], image=IMAGE, stages=("norm", "backbone.second"))


def test_copies_are_independent_and_hold_no_graph():
    model, images = made().eval(), torch.rand(2, *IMAGE)
    output = model(images)["macro"]
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(images)["macro"], output)
        with torch.no_grad():
            twin.encoder.trunk.first.weight.zero_()
        assert not torch.equal(twin(images)["macro"], output)
        assert torch.equal(model(images)["macro"], output)
    with pytest.raises(RuntimeError):
        model(torch.rand(2, 4, 8, 8))
    copy.deepcopy(model)


def test_interrupted_pass_leaves_nothing_in_copies():
    model = made()
    model.encoder.trunk.fc = nn.Conv2d(1, 1, 1)  # fails behind the stages
    with pytest.raises(RuntimeError):
        model(torch.rand(2, *IMAGE))
    copy.deepcopy(model)


@pytest.mark.parametrize("training", [True, False])
def test_double_backward_through_stages_equals_finite_differences(training):
    model = attach_tasks(Own(), [Dense()], image=(3, 8, 8), stages=("norm", "backbone.second"))
    model = model.double().train(training)
    x = torch.rand(3, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def squared_input_gradient(weight):
        state = {"encoder.trunk.first.weight": weight}
        output = torch.func.functional_call(model, state, (x,))["macro"]
        (gradient,) = torch.autograd.grad(output.sin().sum(), x, create_graph=True)
        return gradient.square().sum()

    weight = model.encoder.trunk.first.weight.detach().requires_grad_()
    assert torch.autograd.gradcheck(squared_input_gradient, (weight,), atol=1e-6)


def test_double_backward_goes_through_attention():
    vit = models.VisionTransformer(32, 16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8, num_classes=5)
    nn.init.normal_(vit.heads.head.weight)
    model = attach_tasks(vit, [Stub()], image=(3, 32, 32))
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    features = model.encode_eagerly(x)
    torch.testing.assert_close(features.pooled, model.encode(x).pooled)
    (gradient,) = torch.autograd.grad(model.decode(features)["class"].sin().sum(), x, create_graph=True)
    gradient.square().sum().backward()
    assert model.encoder.trunk.conv_proj.weight.grad.abs().sum() > 0


@pytest.mark.slow
def test_compiled_encoder_has_the_same_stages_and_gradients():
    model, images = made().eval(), torch.rand(2, *IMAGE)
    twin = copy.deepcopy(model)
    twin.encoder.compile(backend="aot_eager")
    for each in (model, twin):
        each(images)["macro"].square().sum().backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            torch.testing.assert_close(ours.grad, theirs.grad)
    for training in (True, False, True):
        assert len(twin.train(training).encode(images).stages) == 2
    assert list(twin.single_task().state_dict()) == list(Own().state_dict())

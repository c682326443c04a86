import copy
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torchvision.models import googlenet, mobilenet_v3_small, resnet18, squeezenet1_1, vit_b_16

from gat_lightning.models import (
    FeatureInfo,
    Features,
    LinearDecoder,
    MultiTaskModel,
    normalized,
    preact_resnet_small,
)

IMAGE = (3, 32, 32)
STATS = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}


@dataclass
class Stub:
    name: str
    outputs: int = 4

    def decoder(self, features: FeatureInfo) -> nn.Module:
        return LinearDecoder(features.dim, self.outputs)


class Unflattened(nn.Module):
    """Its forward spells the number of classes out, so that it cannot do without its last layer."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3 * 32 * 32, 5)

    def forward(self, x):
        return self.fc(x.flatten(1)).view(-1, 5)


class Uncopyable(Unflattened):
    """Keeps a tensor that is part of a graph."""

    def __init__(self):
        super().__init__()
        self.scaled = self.fc.weight * 2


class Sliced(Unflattened):
    """Its forward cuts what the last layer returns to the number of classes."""

    def forward(self, x):
        return self.fc(x.flatten(1))[:, :5]


class Twice(nn.Module):
    """One head under two names, registered before the trunk."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(6, 5)
        self.body = nn.Linear(3 * 32 * 32, 6)
        self.alias = self.head

    def forward(self, x):
        return self.alias(torch.relu(self.body(x.flatten(1))))


def sequential():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(256, 5),
    )


CLASSIFIERS = {
    "ours": lambda: preact_resnet_small(num_classes=5, image=IMAGE, **STATS, width=4),
    "resnet18": lambda: resnet18(num_classes=5),
    "resnet18_normalized": lambda: normalized(resnet18(num_classes=5), **STATS),
    "mobilenet_v3_small": lambda: mobilenet_v3_small(num_classes=5),
    "sequential": sequential,
    "twice": Twice,
}
every_classifier = pytest.mark.parametrize("make", CLASSIFIERS.values(), ids=CLASSIFIERS)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def trained_a_little(model):
    """Another point in parameter space, BatchNorm statistics included."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    images = torch.rand(4, *IMAGE, dtype=next(model.parameters()).dtype)
    sum(output.square().mean() for output in model(images).values()).backward()
    optimizer.step()
    return model


@every_classifier
def test_single_task_is_the_original_architecture_with_the_same_outputs(make):
    classifier = make()
    model = MultiTaskModel(classifier, "class", IMAGE, [Stub("macro", 2), Stub("rotation")], target_classes=5)
    trained_a_little(model)
    single = model.single_task()
    assert type(single) is type(classifier)
    assert list(single.state_dict()) == list(classifier.state_dict())
    assert str(single) == str(classifier)

    fresh = make()
    fresh.load_state_dict(single.state_dict(), strict=True)
    x = torch.rand(3, *IMAGE)
    with torch.no_grad():
        outputs = model.eval()(x)
        assert {task: tuple(output.shape) for task, output in outputs.items()} == {
            "class": (3, 5),
            "macro": (3, 2),
            "rotation": (3, 4),
        }
        for restored in (single.eval(), fresh.eval()):
            torch.testing.assert_close(restored(x), outputs["class"], atol=1e-6, rtol=1e-6)


@every_classifier
def test_classifier_is_copied_and_its_function_kept(make):
    classifier = make()
    before, x = copy.deepcopy(classifier.state_dict()), torch.rand(3, *IMAGE)
    random_state = torch.get_rng_state()
    model = MultiTaskModel(classifier, "class", IMAGE)
    assert torch.equal(torch.get_rng_state(), random_state)
    assert all(module.training for module in classifier.modules())
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(x)["class"], classifier.eval()(x), atol=1e-6, rtol=1e-6)
    trained_a_little(model.train())
    assert all(torch.equal(value, before[key]) for key, value in classifier.state_dict().items())


class Tied(nn.Module):
    """The last layer's weight is that of the layer before, whose bias is that of the first."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3 * 32 * 32, 5), nn.Linear(5, 5), nn.Linear(5, 5)
        self.last.weight, self.second.bias = self.second.weight, self.first.bias

    def forward(self, x):
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x.flatten(1))))))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_tied_across_the_cut_are_tied_in_the_model_and_in_what_it_gives_back(dtype):
    model = MultiTaskModel(Tied().to(dtype), "class", IMAGE, [Stub("macro", 2)])
    assert model.encoder.trunk.second.weight is model.decoders["class"].head.weight
    model = trained_a_little(copy.deepcopy(model).double().to(dtype))
    single = model.single_task()
    assert single.last.weight is single.second.weight
    assert single.second.bias is single.first.bias
    assert len(list(single.parameters())) == 4
    assert list(single.state_dict()) == list(Tied().state_dict())
    x = torch.rand(3, *IMAGE, dtype=dtype)
    assert torch.equal(single(x), model(x)["class"])
    fresh = Tied().to(dtype)
    fresh.load_state_dict(single.state_dict())
    assert torch.equal(fresh(x), single(x))
    assert all(one is not other for one in single.parameters() for other in model.parameters())


def test_single_task_is_independent():
    model = MultiTaskModel(preact_resnet_small(num_classes=5, image=IMAGE, **STATS, width=4), "class", IMAGE)
    single = model.single_task()
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        for tensor in (*single.parameters(), *single.buffers()):
            tensor.add_(1)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@every_classifier
def test_shared_and_decoder_parameters_partition_the_model(make):
    model = MultiTaskModel(make(), "class", IMAGE, [Stub("macro"), Stub("rotation")])
    groups = [model.shared_parameters(), *(model.decoder_parameters(task) for task in ("class", "macro", "rotation"))]
    identities = [id(parameter) for group in groups for parameter in group]
    assert all(groups)
    assert len(identities) == len(set(identities))
    assert set(identities) == {id(parameter) for parameter in model.parameters()}


def test_frozen_parameters_are_not_shared_parameters():
    classifier = resnet18(num_classes=5)
    classifier.conv1.requires_grad_(False)
    model = MultiTaskModel(classifier, "class", IMAGE)
    assert len(model.shared_parameters()) == len(list(model.encoder.parameters())) - 1


def test_modes_and_types_of_the_classifier_are_kept():
    classifier = resnet18(num_classes=5).double()
    classifier.bn1.eval()
    model = MultiTaskModel(classifier, "class", IMAGE, [Stub("macro")])
    trunk = model.encoder.trunk
    assert [m.training for m in trunk.modules()] == [m.training for m in classifier.modules()]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float64}


def test_only_decoders_of_the_asked_tasks_run():
    model = MultiTaskModel(sequential(), "class", IMAGE, [Stub("macro"), Stub("rotation")]).eval()
    runs = []
    for name, decoder in model.decoders.items():
        decoder.register_forward_hook(lambda *_, name=name: runs.append(name))
    x = torch.rand(2, *IMAGE)
    everything = model(x)
    assert list(everything) == runs == ["class", "macro", "rotation"]
    runs.clear()
    some = model(x, ["rotation", "class"])
    assert list(some) == runs == ["rotation", "class"]
    assert all(torch.equal(some[task], everything[task]) for task in some)
    runs.clear()
    features = model.encode(x)
    assert model.decode(features, []) == {}
    assert torch.equal(model.decode(features, ("macro",))["macro"], everything["macro"])
    assert runs == ["macro"]


def test_features_of_our_encoder():
    model = MultiTaskModel(preact_resnet_small(num_classes=5, image=IMAGE, **STATS, width=4), "class", IMAGE)
    assert model.target == "class"
    assert model.features == FeatureInfo(dim=16, stages=((4, 32, 32), (8, 16, 16), (16, 8, 8)), image=IMAGE)
    assert [stage.shape[1:] for stage in model.encode(torch.rand(2, *IMAGE)).stages] == list(model.features.stages)


def test_foreign_classifier_has_no_stages():
    model = MultiTaskModel(mobilenet_v3_small(num_classes=5), "class", IMAGE)
    assert model.features == FeatureInfo(dim=1024, stages=(), image=IMAGE)
    features = model.encode(torch.rand(2, *IMAGE))
    assert features.stages == ()
    assert features.pooled.shape == (2, 1024)


def test_transformer():
    vit = vit_b_16(image_size=32, num_classes=5)
    vit.encoder.layers = vit.encoder.layers[:1]
    nn.init.normal_(vit.heads.head.weight)
    model = MultiTaskModel(vit, "class", IMAGE, [Stub("macro")]).eval()
    x = torch.rand(2, *IMAGE)
    assert model.features.dim == 768
    torch.testing.assert_close(model(x)["class"], vit.eval()(x), atol=1e-5, rtol=1e-5)


def test_one_channel():
    image = (1, 8, 8)
    classifier = preact_resnet_small(num_classes=10, image=image, mean=(0.3,), std=(0.4,), width=4)
    model = MultiTaskModel(classifier, "digit", image, [Stub("odd", 2)])
    assert model(torch.rand(2, *image))["odd"].shape == (2, 2)


def test_decoder_follows_mode_of_the_model():
    model = MultiTaskModel(sequential(), "class", IMAGE).eval()
    model.attach(Stub("macro"))
    assert not any(module.training for module in model.decoders["macro"].modules())


def test_state_dict_round_trip_and_deepcopy():
    def make():
        return MultiTaskModel(resnet18(num_classes=5), "class", IMAGE, [Stub("macro")])

    model, other = make(), make()
    other.load_state_dict(model.state_dict(), strict=True)
    x = torch.rand(2, *IMAGE)
    for twin in (other, copy.deepcopy(model)):
        assert torch.equal(twin.eval()(x)["macro"], model.eval()(x)["macro"])
    assert {"decoders.class.head.weight", "decoders.macro.head.bias", "encoder.trunk.conv1.weight"} <= set(
        model.state_dict()
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: squeezenet1_1(num_classes=5), "SqueezeNet contains no torch.nn.Linear"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 5), nn.Softmax(1)), "Sequential is not the output of one"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 1), nn.ReLU(True)), "Sequential is not the output of one"),
        (lambda: nn.Linear(32, 5), "Linear contains no torch.nn.Linear"),
        (lambda: nn.Sequential(nn.Linear(32, 5)), "returns a tensor of 4 dimensions"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(99, 5)), r"cannot process images of shape \(3, 32, 32\)"),
        (Uncopyable, "Uncopyable cannot be copied"),
        (Unflattened, "Unflattened cannot do without its last Linear.*: shape"),
        (Sliced, "Sliced cannot do without its last Linear.*: it does not return that layer's input"),
    ],
)
def test_what_cannot_be_cut_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        MultiTaskModel(make(), "class", IMAGE)


def test_method_that_skips_hooks_is_refused():
    classifier = preact_resnet_small(num_classes=5, image=IMAGE, **STATS, width=4)
    classifier.register_forward_pre_hook(lambda _, args: (args[0] * 2,))
    with pytest.raises(ValueError, match="hooks on the classifier"):
        MultiTaskModel(classifier, "class", IMAGE)


def test_auxiliary_classifiers_are_refused_in_training():
    model = MultiTaskModel(googlenet(num_classes=5, init_weights=False), "class", IMAGE)
    with pytest.raises(ValueError, match="aux_logits=False"):
        model.train()(torch.rand(2, *IMAGE))


def test_target_classes():
    with pytest.raises(ValueError, match="5 outputs, but task 'class' needs 7"):
        MultiTaskModel(sequential(), "class", IMAGE, target_classes=7)


@pytest.mark.parametrize("name", ["class", "macro"])
def test_names_are_unique(name):
    model = MultiTaskModel(sequential(), "class", IMAGE, [Stub("macro")])
    with pytest.raises(ValueError, match=f"Two tasks are called '{name}'"):
        model.attach(Stub(name))


@pytest.mark.parametrize("name", ["", "a.b", "keys", "training"])
def test_impossible_names_are_refused(name):
    with pytest.raises(ValueError, match="A task cannot be called"):
        MultiTaskModel(sequential(), "class", IMAGE, [Stub(name)])


def test_linear_decoder_uses_pooled():
    decoder = LinearDecoder(6, 3)
    pooled = torch.rand(2, 6)
    assert torch.equal(decoder(Features(pooled)), decoder.head(pooled))


@pytest.mark.parametrize("tasks", [["class", "rotatoin"], "class"])
def test_a_task_that_the_model_does_not_have_is_named(tasks):
    model = MultiTaskModel(sequential(), "class", IMAGE, [Stub("rotation")])
    with pytest.raises(
        ValueError, match=r"no task '(rotatoin'.*did you mean rotation\?|c', but class, rotation.*in a list)"
    ):
        model(torch.rand(2, *IMAGE), tasks)
    with pytest.raises(ValueError, match="The model has no task 'macro', but class, rotation"):
        model.decoder_parameters("macro")

"""What ``auto`` becomes on several machines, what a resumed run keeps, and which setting wins."""

import pytest
import torch
from torch import nn

from gat_lightning.config.build import build_data, build_module, build_trainer
from gat_lightning.config.check import check
from gat_lightning.config.compiling import Work, compiling_pays, operations
from gat_lightning.config.engine import Machine, ResolvedEngine, resolved_evaluation, resolved_training, this_machine
from gat_lightning.errors import UserError
from gat_lightning.models import MultiTaskModel
from gat_lightning.runs.hashing import configuration_hash
from support.configurations import composed

MODERN, OLD = Machine("cpu", bf16=True, compiler=True), Machine("cpu", bf16=False, compiler=True)
GPU, OLD_GPU = Machine("cuda", bf16=True, compiler=True), Machine("cuda", bf16=False, compiler=True)
BARE = Machine("cpu", bf16=True, compiler=False)
LONG, BRIEF = Work(1e18, 50, 6), Work(1e9, 50, 6)


def convolutional(stride=1, channels=3):
    return nn.Sequential(nn.Conv2d(3, channels, 3), nn.Conv2d(channels, 8, 1, stride))


def resolved(machine, *words, net=None, work=LONG, before=None):
    config = composed("train", "paths.run=run", *words)
    return resolved_training(config, net or convolutional(), machine, work, before)


def shown(engine):
    return engine.precision, engine.compiled, engine.channels_last


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (MODERN, ("bf16-mixed", True, True)),
        (OLD, ("32-true", True, True)),
        (BARE, ("bf16-mixed", False, True)),
        (GPU, ("bf16-mixed", True, True)),
        (OLD_GPU, ("32-true", True, False)),
    ],
)
def test_fast_by_machine(machine, expected):
    assert shown(resolved(machine, "engine=fast")) == expected


@pytest.mark.parametrize("machine", [MODERN, OLD, BARE, GPU, OLD_GPU])
def test_exact_is_the_same_everywhere(machine):
    assert resolved(machine) == ResolvedEngine("32-true", False, False, False, {})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["engine.precision=32-true"], ("32-true", True, True)),
        (["trainer.precision=32-true"], ("32-true", True, True)),
        (["trainer.precision=64-true", "engine.precision=bf16-mixed"], ("64-true", True, True)),
        (["trainer.precision=32"], ("32-true", True, True)),
        (["engine.compile=false"], ("bf16-mixed", False, True)),
        (["engine.channels_last=false", "engine.space=representation"], ("bf16-mixed", True, False)),
    ],
)
def test_a_typed_value_wins(words, expected):
    engine = resolved(MODERN, "engine=fast", *words)
    assert shown(engine) == expected
    assert len(engine.reasons) == 3 - sum("space" not in word for word in words[:1])


def test_typed_values_of_the_exact_engine():
    assert shown(resolved(OLD, "engine.precision=bf16-mixed", "engine.compile=true", work=BRIEF)) == (
        "bf16-mixed", True, False,
    )  # fmt: skip
    assert resolved(OLD, "engine.tf32=true").tf32


def test_the_trainer_follows_the_engine_and_what_is_typed_for_it():
    for words, expected in (
        ([], ("32-true", "warn", False)),
        (["engine=fast"], ("auto", False, True)),
        (["engine=fast", "trainer.deterministic=true"], ("auto", True, True)),
        (["engine=fast", "engine.benchmark=false"], ("auto", False, False)),
    ):
        trainer = composed("train", "paths.run=run", *words).trainer
        assert (trainer.precision, trainer.deterministic, trainer.benchmark) == expected


@pytest.mark.parametrize(
    "words", [["engine=fast", "engine.space=representation", "curvature.mode=off"], ["engine=exact"]]
)
def test_both_pass_the_check(words):
    check(composed("train", "paths.run=run", "data=digits", "encoder=preact_resnet_small", *words))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("engine.compile=perhaps", r"engine\.compile='perhaps': it must be auto or true or false"),
        ("engine.channels_last=1", r"engine\.channels_last=1: it must be auto or true or false"),
        ("engine.tf32=auto", r"engine\.tf32='auto': it must be true or false"),
        (
            "engine.precision=16-mixed",
            r"engine\.precision=16-mixed does not work here.*set engine\.precision=bf16-mixed",
        ),
        ("engine.deterministic=maybe", r"engine\.deterministic='maybe': it must be warn or null or true or false"),
        ("engine.benchmark=2", r"engine\.benchmark=2: it must be null or true or false"),
    ],
)
def test_wrong_values_are_refused_by_the_name_that_was_typed(word, message):
    with pytest.raises(UserError, match=message):
        check(composed("train", "paths.run=run", "data=digits", word))


def test_the_layout_by_model():
    def reason(machine, net, *words):
        engine = resolved(machine, "engine=fast", *words, net=net)
        return engine.channels_last, engine.reasons["channels_last"]

    assert reason(MODERN, nn.Linear(3, 3)) == (False, "the model has no convolutions")
    assert reason(MODERN, convolutional(stride=2)) == (False, "a 1x1 convolution of it would corrupt memory")
    assert reason(MODERN, convolutional(stride=2, channels=16))[0]
    assert reason(GPU, convolutional(stride=2))[0]
    assert reason(GPU, convolutional(), "engine.precision=32-true")[1] == "it does not pay on a GPU in 32-true"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_compiling_pays_for_long_runs_of_small_models(device):
    pays = [compiling_pays(Work(10.0**power, 50, 6), device, 2, bf16=False)[0] for power in range(8, 20)]
    assert pays == sorted(pays)
    assert set(pays) == {False, True}
    number = pays.index(True) + 8
    assert not compiling_pays(Work(10.0**number, 5_000, 6), device, 2, bf16=False)[0]


def test_the_faster_passes_are_the_later_compiling_pays():
    def least(threads, bf16):
        works = (Work(10 ** (power / 10), 50, 6) for power in range(60, 220))
        return next(work.operations for work in works if compiling_pays(work, "cpu", threads, bf16)[0])

    assert least(1, bf16=False) < least(1, bf16=True) < least(16, bf16=True)


def test_without_known_work_or_a_compiler_passes_stay_eager():
    assert "not known" in resolved(MODERN, "engine=fast", work=None).reasons["compiled"]
    for words in (["engine=fast"], ["engine.compile=true"]):
        engine = resolved(BARE, *words)
        assert not engine.compiled
        assert "there is no compiler" in str(engine)


def test_operations_are_those_of_convolutions_and_products():
    net = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 64, 7))
    model = MultiTaskModel(net, "class", (3, 8, 8), [])
    model.train()
    assert operations(model, (3, 8, 8)) == 2 * (64 * 5 * 3 * 9 + 5 * 64 * 7)
    assert model.training


def test_the_message_says_what_is_on_and_why():
    assert str(resolved(GPU, "engine.tf32=true")) == "32-true, contiguous, not compiled, TF32"
    said = str(resolved(BARE, "engine=fast"))
    assert said.startswith(
        "bf16-mixed (this CPU has bf16 instructions), channels-last (convolutions are faster so), not"
    )
    assert "this CPU lacks bf16 instructions" in str(resolved(OLD, "engine=fast"))


def test_an_evaluation_is_never_in_bf16():
    config = composed("evaluate", "data=digits", "engine=fast", "paths.run=run", "+model._target_=x.y")
    assert shown(resolved_evaluation(config, convolutional(), MODERN, LONG)) == ("32-true", True, True)
    config = composed("evaluate", "data=digits", "paths.run=run", "+model._target_=x.y")
    assert resolved_evaluation(config, convolutional(), MODERN, LONG) == ResolvedEngine()


def test_a_resumed_run_keeps_what_auto_became():
    before = ResolvedEngine("32-true", True, False, reasons={"precision": "this CPU lacks bf16 instructions"})
    engine = resolved(MODERN, "engine=fast", work=None, before=before)
    assert shown(engine) == ("32-true", True, False)
    assert set(engine.reasons.values()) == {"as before"}
    assert shown(resolved(MODERN, "engine=fast", "engine.channels_last=true", before=before)) == ("32-true", True, True)
    assert shown(resolved(MODERN, before=before)) == ("32-true", False, False)
    assert ResolvedEngine.from_plain({**before.plain(), "of_a_later_version": 1}) == before


def test_a_resumed_run_is_refused_where_the_machine_lacks_what_it_needs():
    before = ResolvedEngine("bf16-mixed", compiled=True)
    with pytest.raises(UserError, match=r"begun in bf16-mixed, .*lacks bf16 instructions.*engine\.precision=32-true"):
        resolved(OLD, "engine=fast", before=before)
    with pytest.raises(UserError, match=r"begun compiled, .*lacks a compiler.*engine\.compile=false"):
        resolved(BARE, "engine=fast", before=before)
    assert shown(resolved(OLD, "engine=fast", "engine.precision=bf16-mixed", before=before))[0] == "bf16-mixed"


def test_this_machine(monkeypatch):
    assert this_machine("cpu").device == "cpu"
    assert this_machine("auto").device == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not this_machine("cpu").compiler
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert not this_machine("cpu").bf16
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert this_machine("cpu").bf16


def hashed(*words):
    return configuration_hash(composed("train", "paths.run=run", "experiment=quickstart", *words))


def test_earlier_runs_with_a_typed_precision_are_found():
    """Frozen: what the versions before the presets called them."""
    assert hashed("trainer.precision=bf16-mixed") == hashed("engine.precision=bf16-mixed") == "523bb8b2"
    assert hashed("trainer.deterministic=false") == hashed("engine.deterministic=false") == "fb7c5b9b"
    assert hashed("trainer.benchmark=true") == hashed("engine.benchmark=true") == "0f700c34"
    assert hashed("engine.compile=true", "engine.channels_last=true") == "2e7c4839"
    assert len({hashed(), hashed("engine=fast"), hashed("engine=fast", "engine.precision=bf16-mixed")}) == 3


def test_an_evaluation_with_the_exact_engine_is_the_same_as_before():
    words = ["data=digits", "+model._target_=net.small", "paths.run=run"]
    hashes = [
        configuration_hash(composed("evaluate", *words, *more)) for more in ([], ["engine=exact"], ["engine=fast"])
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_parts_of_a_training_get_what_was_resolved(monkeypatch, tmp_path):
    words = ["data=digits", "encoder=preact_resnet_small", "encoder.width=16", "task=none", "trainer.accelerator=cpu"]
    config = composed("train", f"paths.run={tmp_path}", "engine=fast", *words)
    data = build_data(config)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    module = build_module(config, data.info, before=ResolvedEngine("bf16-mixed", False, True))
    assert shown(ResolvedEngine.from_plain(module.origin["engine"])) == ("bf16-mixed", False, True)
    weights = [weight for weight in module.model.parameters() if weight.dim() == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    assert build_trainer(config, "bf16-mixed").precision == "bf16-mixed"

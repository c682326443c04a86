"""Random settings, drawn from the configuration's own fields: each starts, or is refused with one clear message."""

import random
import warnings
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from gat_lightning.config.build import build_data, build_module
from gat_lightning.config.check import check
from gat_lightning.config.constructors import walk
from gat_lightning.config.files import find_conf
from gat_lightning.config.messages import explain, is_for_user
from support import configurations
from support.processes import start_command

DRAWS, COMMANDS = 500, 20
BASE = ["experiment=quickstart", "encoder.width=4", "data.fraction=0.1", "trainer.max_epochs=1"]
LEFT_ALONE = ("paths.", "hydra.", "debug", "paper.", "pretraining", "trainer.strategy", "trainer.devices", "logger.")
"""Where files go, what only a machine with more can do, and what would start other runs."""


def composed(overrides):
    return configurations.composed("train", *BASE, "paths.run=/nowhere", *overrides)


@cache
def fields():
    """Settings that can be typed, each with its value."""
    found = {}
    for path, node, key in walk(composed([])):
        if OmegaConf.is_missing(node, key) or path.startswith(LEFT_ALONE) or path.endswith("_target_"):
            continue
        if not isinstance(node[key], DictConfig):
            found[path] = node[key]
    return found


@cache
def groups():
    """Options of each group, but those that need files, a network or an optional package."""
    found = {}
    for folder in sorted(path for path in find_conf().iterdir() if path.is_dir()):
        if folder.name in (
            "hydra",
            "paths",
            "experiment",
            "debug",
            "recipe",
            "evaluation",
            "format",
            "logger",
            "trainer",
        ):
            continue
        names = [file.stem for file in folder.glob("*.yaml")]
        found[folder.name] = sorted(set(names) - {"cifar10", "stl10", "timm", "torchvision"})
    return found


NUMBERS = st.one_of(
    st.integers(-3, 12).map(str),
    st.sampled_from(["1e-30", "0.0", "0.5", "0.999", "1.5", "8/255", "-1/255", "1e30", "1e400", ".nan", ".inf", "7e9"]),
    st.integers(-(10**12), 10**12).map(str),
)
WORDS = st.one_of(
    st.sampled_from(["auto", "none", "Linf", "L2", "L1", "shared", "separate", "objective", "off", "train", "eval"]),
    st.text("abcxyz", min_size=1, max_size=6),
    st.text(min_size=1, max_size=6).map(
        lambda text: "'" + text.replace("\\", "").replace("'", "").replace("$", "") + "'"
    ),
)
OTHERS = st.sampled_from(["null", "true", "false", "[]", "[1,2]", "{}", "{a:1}", "''", "${seed}", "${nowhere}", "???"])


def value_for(current):
    """Mostly of the kind that the setting has."""
    kind = OTHERS
    if isinstance(current, bool):
        kind = st.sampled_from(["true", "false"])
    elif isinstance(current, (int, float)):
        kind = NUMBERS
    elif isinstance(current, str):
        kind = st.one_of(st.just(current), WORDS, NUMBERS) if "$" not in current else NUMBERS
    return st.one_of(kind, kind, kind, NUMBERS, WORDS, OTHERS)


@st.composite
def override_strings(draw):
    drawn = []
    available, options = fields(), groups()
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 3)) == 0:
            group = draw(st.sampled_from(sorted(options)))
            count = 2 if group == "task" else 1
            drawn.append(f"{group}={'+'.join(draw(st.sampled_from(options[group])) for _ in range(count))}")
        else:
            path = draw(st.sampled_from(sorted(available)))
            drawn.append(f"{path}={draw(value_for(available[path]))}")
    return drawn


def outcome(overrides):
    """``started``, or the message; any error that is not meant for a person goes on."""
    try:
        config = composed(overrides)
        check(config)
        data = build_data(config)
        build_module(config, data.info)
    except Exception as error:
        if not is_for_user(error):
            raise
        message = explain(error)
        assert message.strip()
        assert len(message) < 3000
        assert "Traceback" not in message
        return message
    return "started"


def check_draws():
    """What came of so many different draws."""
    outcomes = {}

    @seed(0)
    @settings(max_examples=8 * DRAWS, database=None, deadline=60_000, suppress_health_check=list(HealthCheck))
    @given(override_strings())
    def each(overrides):
        if len(outcomes) == DRAWS or tuple(overrides) in outcomes:
            return
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            outcomes[tuple(overrides)] = outcome(overrides)

    each()
    return outcomes


@pytest.mark.slow
def test_random_overrides(tmp_path):
    outcomes = check_draws()
    started = [overrides for overrides, said in outcomes.items() if said == "started"]
    assert len(outcomes) == DRAWS
    print(f"{DRAWS} different draws, {len(started)} would start, {len(outcomes) - len(started)} are refused")
    assert 0 < len(started) < len(outcomes)
    refused = sorted(overrides for overrides, said in outcomes.items() if said != "started")
    draw = random.Random(0)
    chosen = [*draw.sample(sorted(started), COMMANDS // 2), *draw.sample(refused, COMMANDS // 2)]
    statuses = []
    for number, overrides in enumerate(chosen):
        output = tmp_path / str(number)
        process = start_command(output, *overrides, "trainer.max_epochs=1", "+trainer.limit_train_batches=1")
        statuses.append(process.wait(120))
        log = (output / "log.txt").read_text()
        assert "Traceback" not in log, (overrides, log[-2000:])
        assert statuses[-1] == 0 or "Error: " in log, (overrides, log[-2000:])
    print(f"{COMMANDS} commands: {statuses.count(0)} ran, {COMMANDS - statuses.count(0)} were refused")

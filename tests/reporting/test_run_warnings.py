"""A report says what its runs warned of."""

from __future__ import annotations

import json
from pathlib import Path

from gat_lightning.reporting.groups import group
from gat_lightning.reporting.records import collect
from gat_lightning.reporting.run_warnings import warnings
from support.run_records import ATTACK, evaluation, table, training

LOG = """\
[2026-11-28 10:00:00,000][gat_lightning.commands.train][INFO] - Training on 1,437 images
[2026-11-28 10:00:01,000][gat_lightning.training.callbacks.objective_log][WARNING] - Epoch {epoch}: class/adv got only \
0.0% of the weight: 'class' hardly becomes robust.
  Try weighting=mgda_floor.
[2026-11-28 10:00:02,000][lightning.pytorch][WARNING] - not ours
"""
STARVED = "class/adv got only 0.0% of the weight: 'class' hardly becomes robust. Try weighting=mgda_floor."


def test_warnings_that_differ_in_numbers_alone_are_one(tmp_path: Path) -> None:
    for seed in range(2):
        (training(tmp_path, str(seed), seed, task="none") / "gat.log").write_text(LOG.format(epoch=seed + 3))
    newer = training(tmp_path, "2", 2, task="none")
    record = json.loads((newer / "result.json").read_text()) | {"warnings": [f"Epoch 9: {STARVED}"]}
    (newer / "result.json").write_text(json.dumps(record))
    other = evaluation(training(tmp_path, "other", task="macro"), "pgd", 0.4, pgd20=ATTACK) / "result.json"
    checks = {"best": {"pgd20": {"images": 200, "non_finite": 3, "zero_gradient": 0.0}}}
    more = {"checks": checks, "notes": ["FAB was left out: it needs classes."]}
    other.write_text(json.dumps(json.loads(other.read_text()) | more))
    found = warnings(group(collect([tmp_path])[0]))
    texts = [(each.setting, each.seeds, each.text) for each in found]
    assert texts[0] == ("task=macro", [0], "FAB was left out: it needs classes.")
    assert texts[1][2].startswith("test/pgd20: 3 of 200 outputs are NaN or infinite")
    assert texts[2:] == [("task=none", [0, 1, 2], f"Epoch 3: {STARVED}")]


def test_the_page_lists_them_and_marks_the_rows(tmp_path: Path) -> None:
    for task in ("none", "macro"):
        training(tmp_path / "runs", task, task=task)
    (tmp_path / "runs" / "none" / "gat.log").write_text(LOG.format(epoch=3))
    rows = table(tmp_path)
    assert ["task=none", "0", f"Epoch 3: {STARVED}"] in rows
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count('title="1 warning"') == 1
    anchor = html.partition('title="1 warning"')[0].rpartition('href="#')[2].partition('"')[0]
    assert f'id="{anchor}"' in html

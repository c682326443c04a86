"""Makes the pictures of the documentation, ``docs/pictures/*.png``, from the present code: ``make pictures``.

``python docs/make_pictures.py NAME ...`` makes some of them. The pictures of models train these first, which takes
minutes; the screenshots of a report need Chromium or Chrome. ``step.svg`` is drawn by hand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import factors, few_labels_curve, overfitting

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
REPORTED = ROOT / "results" / "digits"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Maker = Callable[[Path], Path]
"""Makes a picture in a folder of its choice below the given one, and returns its path."""


def demo_strip(work: Path) -> Path:
    """What the demo draws, after it trained its three models on two threads, as those of results/demo."""
    command(work, "demo", threads=2)
    return work / "outputs" / "demo" / "demo.png"


def confusion(work: Path) -> Path:
    """Of the model of results/theorem, under two attacks."""
    return evaluated(work, "confusion.png", "evaluation=pgd20+square")


def first_order(work: Path) -> Path:
    """Of the same model, by the command of docs/results.md."""
    attack = ("evaluation=pgd20", "attack.norm=L2", "attack.eps=0.02")
    return evaluated(work, "first_order.png", *attack, "vulnerability=true", "subset=null")


def evaluated(work: Path, picture: str, *settings: str) -> Path:
    """A picture of an evaluation of the trained model."""
    run = trained(work)
    command(work, "evaluate", f"checkpoint={run / 'checkpoints' / 'best.ckpt'}", *settings)
    newest = max((run / "evaluations").iterdir(), key=lambda folder: folder.stat().st_mtime)
    return newest / "images" / picture


@cache
def trained(work: Path) -> Path:
    """The run of results/theorem, trained anew."""
    settings = ("method=madry", "weighting=mgda", "curvature.mode=off", "trainer.max_epochs=20")
    command(work, "train", "experiment=quickstart", *settings, "paths.run=outputs/theorem")
    return work / "outputs" / "theorem"


def drawn(draw: Callable[[Path], None], work: Path) -> Path:
    """A picture of kept results."""
    path = work / "drawn.png"
    draw(path)
    return path


def screenshot(width: int, height: int, work: Path) -> Path:
    """The top of the report on the kept runs of digits, as a browser shows it on a screen of that size.

    Raises:
        SystemExit: there is no browser.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"The screenshots of a report need one of {', '.join(BROWSERS)}.")
    path = work / f"report_{width}.png"
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    options = ["--headless", "--hide-scrollbars", *as_root, f"--window-size={width},{height}", f"--screenshot={path}"]
    subprocess.run([browser, *options, reported(work).as_uri()], check=True, capture_output=True)
    return path


@cache
def reported(work: Path) -> Path:
    """The report on the kept runs of digits."""
    command(work, "report", f"runs={REPORTED}", f"output={work / 'report'}")
    return work / "report" / "report.html"


def command(work: Path, name: str, *settings: str, threads: int = 1) -> None:
    """Run one of the package's commands in a folder; the number of threads decides how it rounds."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-m", f"gat_lightning.{name}", *settings], cwd=work, check=True, env=environment)


MAKERS: dict[str, Maker] = {
    "digits_factors": partial(drawn, factors.draw),
    "overfitting": partial(drawn, overfitting.draw),
    "few_labels": partial(drawn, few_labels_curve.draw),
    "report_wide": partial(screenshot, 1280, 900),
    "report_phone": partial(screenshot, 390, 844),
    "confusion": confusion,
    "first_order": first_order,
    "demo_strip": demo_strip,
}
"""What makes each picture."""


def main(names: Sequence[str]) -> None:
    """Make the named pictures; all without a name."""
    os.chdir(ROOT)
    with TemporaryDirectory() as folder:
        for name in names or MAKERS:
            shutil.copyfile(MAKERS[name](Path(folder)), PICTURES / f"{name}.png")
            print(f"Made {name}.png", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

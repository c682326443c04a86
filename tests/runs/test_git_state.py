"""Which changes make a run dirty, and which files git is not to see."""

import subprocess

import pytest

from gat_lightning.runs import environment
from support.documents import REPOSITORY

RESULT = "results/digits/run/result.json"


def git(folder, *words):
    names = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    return subprocess.run(["git", "-C", str(folder), *names, *words], check=False, capture_output=True, text=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with code, settings and a page, all committed."""
    for name in ("src/code.py", "conf/train.yaml", "README.md", RESULT):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "a")
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "src" / "code.py"))
    return tmp_path


@pytest.mark.parametrize(
    ("name", "dirty"),
    [
        (None, False),
        ("report/report.html", False),
        ("elsewhere/tables.md", False),
        (RESULT, False),
        ("README.md", True),
        ("src/code.py", True),
        ("src/method.py", True),
        ("conf/method/own.yaml", True),
    ],
)
def test_code_and_settings_and_what_git_tracks_make_a_run_dirty_but_no_report(checkout, name, dirty):
    if name is not None:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("b")
    assert environment.git_state() == {"commit": git(checkout, "rev-parse", "HEAD").stdout.strip(), "dirty": dirty}


def test_nor_do_kept_results_that_were_deleted_to_be_made_anew(checkout):
    (checkout / RESULT).unlink()
    assert environment.git_state()["dirty"] is False


@pytest.mark.parametrize(
    ("path", "ignored"),
    [
        ("report/report.html", True),
        ("src/gat_lightning/reporting/page.py", False),
        ("results/digits/run/evaluations/pgd20-0123abcd/result.json", False),
        ("results/digits/run/evaluations/pgd20-0123abcd/.hydra/overrides.yaml", False),
        ("results/digits/run/evaluations/pgd20-0123abcd/predictions.npz", False),
        ("results/digits/run/evaluations/pgd20-0123abcd/.hydra/config.yaml", True),
        ("results/digits/run/evaluations/pgd20-0123abcd/gat.log", True),
        ("results/digits/run/checkpoints/best.ckpt", True),
    ],
)
def test_results_are_kept_with_the_evaluations_in_them_and_reports_are_not(path, ignored):
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a checkout")
    assert (git(REPOSITORY, "check-ignore", "--no-index", path).returncode == 0) is ignored

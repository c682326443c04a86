"""Audit report: a verdict for each check, with its evidence and its reference."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.table import Table

Verdict = Literal["pass", "suspicious", "not applicable"]

ATHALYE = "Athalye, Carlini and Wagner, 'Obfuscated gradients give a false sense of security' (ICML 2018), section 3"
CARLINI = "Carlini et al., 'On evaluating adversarial robustness' (arXiv 1902.06705, 2019)"
AUTO_ATTACK = (
    "Croce and Hein, 'Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free "
    "attacks' (ICML 2020)"
)
MARGIN_LOSS = "Carlini and Wagner, 'Towards evaluating the robustness of neural networks' (S&P 2017)"
SQUARE = "Andriushchenko et al., 'Square Attack' (ECCV 2020)"
LOCAL_LINEARITY = "Qin et al., 'Adversarial robustness through local linearization' (NeurIPS 2019)"

_STYLE = {"pass": "green", "suspicious": "bold red", "not applicable": "dim"}


@dataclass(frozen=True)
class Check:
    """Result of an audit check.

    Attributes:
        name: short name, such as ``random noise``.
        verdict: ``pass``, ``suspicious`` (look at the evidence before believing the robust accuracy) or
            ``not applicable``.
        evidence: figures behind the verdict, including thresholds; plain types.
        explanation: one sentence.
        reference: publication of the check.
    """

    name: str
    verdict: Verdict
    evidence: dict[str, Any]
    explanation: str
    reference: str


def verdict(suspicious: bool) -> Verdict:
    """``suspicious`` or ``pass``."""
    return "suspicious" if suspicious else "pass"


@dataclass(frozen=True)
class AuditReport:
    """All checks of one classifier.

    Attributes:
        checks: checks in their order.
        settings: norm, eps, number of images, seed, number of images with a NaN or infinite output, and the clean and
            robust accuracy found; plain types.
    """

    checks: tuple[Check, ...]
    settings: dict[str, Any]

    @property
    def suspicious(self) -> tuple[str, ...]:
        """Names of the suspicious checks; empty for a sound evaluation."""
        return tuple(check.name for check in self.checks if check.verdict == "suspicious")

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain types, for JSON."""
        return {
            "suspicious": list(self.suspicious),
            "settings": dict(self.settings),
            "checks": [asdict(check) for check in self.checks],
        }

    def table(self) -> Table:
        """Table for the terminal."""
        table = Table("check", "verdict", "why", title=f"Audit: {self._summary()}", show_lines=True)
        for check in self.checks:
            table.add_row(check.name, f"[{_STYLE[check.verdict]}]{check.verdict}[/]", check.explanation)
        return table

    def markdown(self) -> str:
        """A report with the evidence and the references."""
        lines = [f"# Audit: {self._summary()}", ""]
        lines += [f"- {name}: {_figure(value)}" for name, value in self.settings.items()]
        lines += ["", "| check | verdict | why |", "|---|---|---|"]
        lines += [f"| {check.name} | {check.verdict} | {check.explanation} |" for check in self.checks]
        for check in self.checks:
            lines += ["", f"## {check.name}: {check.verdict}", "", check.explanation, ""]
            lines += [f"- {name}: {_figure(value)}" for name, value in check.evidence.items()]
            lines += ["", f"Reference: {check.reference}"]
        return "\n".join(lines) + "\n"

    def _summary(self) -> str:
        found, made = len(self.suspicious), sum(check.verdict != "not applicable" for check in self.checks)
        return f"{found} of {made} checks suspicious" if found else f"nothing suspicious in {made} checks"


def _figure(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_figure, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_figure(part)}" for name, part in value.items()) or "none"
    return str(value)

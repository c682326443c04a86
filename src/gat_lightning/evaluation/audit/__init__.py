"""Audit for obfuscated gradients."""

from gat_lightning.evaluation.audit.report import AuditReport, Check
from gat_lightning.evaluation.audit.runner import audit

__all__ = ["AuditReport", "Check", "audit"]

"""Does a classifier's robustness hold up, or are its gradients obfuscated?"""

from gat_lightning.evaluation.audit.report import AuditReport, Check
from gat_lightning.evaluation.audit.runner import audit

__all__ = ["AuditReport", "Check", "audit"]

"""Mean and standard deviation of a metric over runs that differ only in their seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gat_lightning.errors import UserError


class MeanStd(NamedTuple):
    """Mean ± standard deviation over ``n`` runs.

    Attributes:
        mean: mean over the runs.
        std: sample standard deviation (divided by n - 1); NaN for a single run.
        n: number of runs.
    """

    mean: float
    std: float
    n: int

    def text(self, digits: int = 2) -> str:
        """``48.38 ± 0.21``; only the mean for a single run."""
        return f"{self.mean:.{digits}f}" + (f" ± {self.std:.{digits}f}" if self.n > 1 else "")


def mean_std(values: ArrayLike) -> MeanStd:
    """Mean and sample standard deviation over seeds.

    Args:
        values: one per run, at least one.

    Raises:
        UserError: there is none.
    """
    runs = np.asarray(values, dtype=np.float64).ravel()
    if len(runs) == 0:
        raise UserError("a mean over seeds needs at least one run")
    return MeanStd(float(runs.mean()), float(runs.std(ddof=1)) if len(runs) > 1 else float("nan"), len(runs))

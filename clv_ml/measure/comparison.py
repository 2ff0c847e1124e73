"""
Is the model better than the best baseline, beyond chance?

Each metric is taken per backtest date and averaged; its difference to the best baseline has a bootstrap
interval over customers, who may differ; other years are another matter.

Sources: Efron and Tibshirani (1993) for the percentile interval; Davison and Hinkley (1997), eq. 4.11, for a
p-value that is never 0; Holm (1979).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clv_ml.measure.bootstrap import customer_draws
from clv_ml.measure.evaluation import Evaluation, common_estimators
from clv_ml.measure.metrics import HIGHER_IS_BETTER, METRICS

COMPARED = ("r2", "nmae", "spearman", "gini", "top_decile_lift", "bias", "decile_mape")
OWN = ("model", "typical")
"""The estimates that are published: all others are baselines, unless the caller says they are ours too."""
REPLICATES = 1999
"""The least p-value is 2 / 2000: even the 40 cells of a benchmark, corrected, can show a loss at 5 %."""
SEED = 11


@dataclass(frozen=True)
class Comparison:
    """
    Ours against the best baseline of one metric, picked afterwards.

    ``gain`` is positive where ours is better, with a 95 % interval over customers; ``p_value`` is two-sided,
    and ``p_holm`` the same corrected for everything compared with it.
    """

    metric: str
    estimator: str
    ours: float
    baseline: str
    theirs: float
    gain: float
    gain_low: float
    gain_high: float
    p_value: float
    p_holm: float

    @property
    def is_loss(self) -> bool:
        """Whether ours is worse beyond chance."""
        return self.gain < 0 and self.p_holm < 0.05

    @property
    def is_gain(self) -> bool:
        """Whether ours is better beyond chance."""
        return self.gain > 0 and self.p_holm < 0.05


def compare(
    evaluations: Sequence[Evaluation],
    metrics: Sequence[str] = COMPARED,
    replicates: int = REPLICATES,
    own: Collection[str] = OWN,
) -> tuple[Comparison, ...]:
    """
    Compares the median on nmae, and the mean on every other metric, with the best baseline of each.

    Only baselines that every evaluation has are asked, and none of ``own``. p-values are corrected for the
    metrics given.
    """
    whole = [np.arange(len(one)) for one in evaluations]
    pairs = [(metric, *_opponents(evaluations, whole, metric, own)) for metric in metrics]

    def differences(rows: Sequence[NDArray[np.intp]]) -> list[float]:
        return [
            _average(evaluations, rows, metric, ours) - _average(evaluations, rows, metric, theirs)
            for metric, ours, theirs in pairs
        ]

    drawn = np.array([differences(rows) for rows in _drawn_rows(evaluations, replicates)])
    return with_holm(
        [
            _compared(
                metric,
                (ours, _average(evaluations, whole, metric, ours)),
                (theirs, _average(evaluations, whole, metric, theirs)),
                column,
            )
            for (metric, ours, theirs), column in zip(pairs, drawn.T, strict=True)
        ]
    )


def verdict(comparisons: Sequence[Comparison], names: Mapping[str, str]) -> str:
    """
    All comparisons in one sentence: in how many metrics ours is better than the best baseline, equal within
    chance, and worse, and in which. ``names`` says what a metric is called.
    """
    found = {
        "better than every baseline": [one for one in comparisons if one.is_gain],
        "equal within chance": [one for one in comparisons if not (one.is_gain or one.is_loss)],
        "worse": [one for one in comparisons if one.is_loss],
    }
    counted = [
        f"{words} in {len(group)} {'metric' if len(group) == 1 else 'metrics'} "
        f"({', '.join(names.get(one.metric, one.metric) for one in group)})"
        for words, group in found.items()
        if group
    ]
    return f"The model is {', '.join(counted)}."


def _compared(
    metric: str, ours: tuple[str, float], theirs: tuple[str, float], differences: NDArray[np.float64]
) -> Comparison:
    """Names and values of both, and the differences of the draws; ``p_holm`` is not corrected yet."""
    sign = _sign(metric)
    gains = sign * differences[np.isfinite(differences)]
    low, high = np.quantile(gains, (0.025, 0.975)) if gains.size else (np.nan, np.nan)
    return Comparison(
        metric=metric,
        estimator=ours[0],
        ours=ours[1],
        baseline=theirs[0],
        theirs=theirs[1],
        gain=sign * (ours[1] - theirs[1]),
        gain_low=float(low),
        gain_high=float(high),
        p_value=_p_value(gains),
        p_holm=1.0,
    )


def with_holm(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """The comparisons, in their order, with ``p_holm`` corrected for all of them."""
    corrected = holm([one.p_value for one in comparisons])
    return tuple(replace(one, p_holm=p) for one, p in zip(comparisons, corrected, strict=True))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values, in the order given, of which rejecting those below a level errs at most that often."""
    corrected, running = [1.0] * len(p_values), 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, p_values[index] * (len(p_values) - place)))
        corrected[index] = running
    return corrected


def _opponents(
    evaluations: Sequence[Evaluation],
    whole: Sequence[NDArray[np.intp]],
    metric: str,
    own: Collection[str],
) -> tuple[str, str]:
    """Our estimator, and the best baseline. One whose metric is not defined comes last."""

    def merit(name: str) -> float:
        value = _sign(metric) * _average(evaluations, whole, metric, name)
        return value if np.isfinite(value) else -np.inf

    rivals = [name for name in common_estimators(evaluations) if name not in own]
    return "typical" if metric == "nmae" else "model", max(rivals, key=merit)


def _sign(metric: str) -> float:
    return 1.0 if metric in HIGHER_IS_BETTER else -1.0


def _average(
    evaluations: Sequence[Evaluation], rows: Sequence[NDArray[np.intp]], metric: str, estimator: str
) -> float:
    """The metric's mean over evaluations, each on the rows named."""
    values = [
        METRICS[metric](one.actual[taken], one.predicted[estimator][taken])
        for one, taken in zip(evaluations, rows, strict=True)
    ]
    return float(np.mean(values))


def _drawn_rows(evaluations: Sequence[Evaluation], replicates: int) -> Iterator[list[NDArray[np.intp]]]:
    """Rows of each evaluation under draws of customers."""
    customers = np.unique(np.concatenate([one.customer for one in evaluations]))
    places = [np.searchsorted(customers, one.customer) for one in evaluations]
    for drawn in customer_draws(customers.size, replicates, SEED):
        times = np.bincount(drawn, minlength=customers.size)
        yield [np.repeat(np.arange(place.size), times[place]) for place in places]


def _p_value(gains: NDArray[np.float64]) -> float:
    """Two-sided: twice the share of draws on the rarer side of no gain, this sample one draw on each."""
    rarer = min((gains <= 0).sum(), (gains >= 0).sum())
    return float(min(1.0, 2 * (rarer + 1) / (gains.size + 1)))

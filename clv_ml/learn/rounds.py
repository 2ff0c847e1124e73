"""How many trees each booster gets."""

import lightgbm as lgb
import numpy as np

from clv_ml.learn.boosters import BOOSTERS, BoosterSpec, Parameters, dataset, lightgbm_parameters, row_count
from clv_ml.learn.folds import FOLDS, customer_folds
from clv_ml.learn.training_data import TrainingData

EARLY_STOPPING_ROUNDS = 30
"""Trees without a better loss that end the search: at the default rate, about one full step."""


def choose_rounds(fit: TrainingData, later: TrainingData, parameters: Parameters) -> dict[str, int]:
    """
    Trees per booster: half way from ``default_rounds`` to where early stopping ends on a later date and on
    customers that the fold did not learn from; half, because one date says little.

    Args:
        fit: Trainable rows of the train dates.

        later: Trainable rows of the calibration date; the same as ``fit`` where history has one date only.
    """
    if np.unique(fit.customer).size < FOLDS:
        return dict.fromkeys(BOOSTERS, parameters.default_rounds)
    fold_of = customer_folds(np.concatenate([fit.customer, later.customer]))
    fit_fold, later_fold = fold_of[: len(fit)], fold_of[len(fit) :]
    rounds = {}
    for name, spec in BOOSTERS.items():
        best = [
            _best_round(spec, fit.only(fit_fold != fold), later.only(later_fold == fold), parameters)
            for fold in range(FOLDS)
        ]
        rounds[name] = round((parameters.default_rounds + float(np.mean(best))) / 2)
    return rounds


def _best_round(spec: BoosterSpec, fit: TrainingData, held_out: TrainingData, parameters: Parameters) -> int:
    learning = dataset(spec, fit, parameters)
    checking = dataset(spec, held_out, parameters, reference=learning)
    if learning is None:
        return 0
    if checking is None:
        return parameters.default_rounds
    booster = lgb.train(
        lightgbm_parameters(spec.objective, parameters, row_count(learning)),
        learning,
        num_boost_round=parameters.max_rounds,
        valid_sets=[checking],
        callbacks=[lgb.early_stopping(EARLY_STOPPING_ROUNDS, verbose=False)],
    )
    return booster.best_iteration

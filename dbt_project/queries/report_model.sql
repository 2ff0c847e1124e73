-- The model in use, as the registry describes it; none before one was trained.
select
    version,
    model_type,
    created_at,
    horizon_days,
    reporting_currency,
    feature_count,
    trained_through,
    promotion_reason
from model_registry
where is_champion and fault is null

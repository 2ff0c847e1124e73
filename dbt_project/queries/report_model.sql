-- The model that scored, as the registry describes it; none where none did.
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
where version = $version and fault is null

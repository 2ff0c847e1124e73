-- Grain: one row per date that features exist for, with the split in time and the hash under which a stored
-- date may be reused: neither is stored with the rows.
with
    dates as (select * from {{ ref("int_calendar") }}),

    splits as (select * from {{ ref("int_date_splits") }}),

    fingerprints as (select * from {{ ref("int_date_fingerprints") }})

select
    dates.as_of_date,
    dates.is_grid,
    dates.is_scoring_date,
    dates.label_known_at,
    dates.is_labelled,
    splits.split,
    dates.shop_age_days,
    cast('{{ feature_hash() }}' as string) as feature_hash,
    {{ build_hash([
        "fingerprints.id_fingerprint",
        "fingerprints.rate_fingerprint",
        "cast(fingerprints.event_count as string)",
        "cast(fingerprints.event_amount as string)",
        "fingerprints.attribute_fingerprint"
    ]) }} as build_hash
from dates
inner join splits on splits.as_of_date = dates.as_of_date
inner join fingerprints on fingerprints.as_of_date = dates.as_of_date

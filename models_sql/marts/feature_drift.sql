-- Grain: feature of the model in use: how far customers of the scoring date are from the rows that the
-- model learned from.
{% set model = scoring_plan().model %}
{% set names = model.features | map(attribute="name") | list if model is not none else [] %}

with
    dates as (select * from {{ ref("as_of_dates") }} where is_scoring_date),

    scored as (select * from {{ ref("scoring_rows") }}),

    bins as (
        select feature as measure, bin_number, value_above, value_to, row_count
        from {{ ref("feature_bins") }}
        where model_version = '{{ model.version if model is not none else "" }}'
    ),

    counted as ({{ counted_values(names, "scored") }}),

    found as ({{ found_in_tenths("bins", "counted") }}),

    compared as ({{ stability_of("found") }})

select
    compared.measure as feature,
    dates.as_of_date,
    cast('{{ model.version if model is not none else "" }}' as string) as model_version,
    compared.row_count as trained_rows,
    compared.found_count as scored_rows,
    compared.missing_rate as trained_missing_rate,
    compared.found_missing_rate as scored_missing_rate,
    compared.upper_half_change,
    compared.psi,
    cast(
        case
            when
                compared.psi > {{ setting("drift_psi_large") }}
                or abs(compared.found_missing_rate - compared.missing_rate)
                > {{ setting("drift_share_change") }}
            then 'large'
            when compared.psi > {{ setting("drift_psi_moderate") }}
            then 'moderate'
            else 'stable'
        end as string
    ) as drift
from compared
cross join dates

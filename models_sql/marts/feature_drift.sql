-- Grain: feature of the model in use: how far today's customers are from the rows that it learned from.
-- That is usual, as customers age and seasons pass. To be far from every one of the shop's own dates around
-- the training is not: the one that today is most like counts.
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

    usual_bins as (
        select *
        from {{ ref("usual_bins") }}
        where model_version = '{{ model.version if model is not none else "" }}'
    ),

    counted as ({{ counted_values(names, "scored") }}),

    found as ({{ found_in_tenths("bins", "counted") }}),

    compared as ({{ stability_of("found") }}),

    usual as (
        select usual_bins.as_of_date, found.measure, found.bin_number, usual_bins.row_count, found.found_count
        from found
        inner join
            usual_bins on usual_bins.feature = found.measure and usual_bins.bin_number = found.bin_number
    ),

    compared_by_date as ({{ stability_of("usual", dated=true) }}),

    nearest as (
        select measure, min(psi) as psi, min(abs(found_missing_rate - missing_rate)) as missing_rate_change
        from compared_by_date
        group by measure
    ),

    judged as (
        select
            compared.*,
            coalesce(nearest.psi, compared.psi) as unusual_psi,
            coalesce(
                nearest.missing_rate_change, abs(compared.found_missing_rate - compared.missing_rate)
            ) as unusual_missing_rate
        from compared
        left join nearest on nearest.measure = compared.measure
    )

select
    judged.measure as feature,
    dates.as_of_date,
    cast('{{ model.version if model is not none else "" }}' as string) as model_version,
    judged.row_count as trained_rows,
    judged.found_count as scored_rows,
    judged.missing_rate as trained_missing_rate,
    judged.found_missing_rate as scored_missing_rate,
    judged.upper_half_change,
    judged.psi,
    judged.unusual_psi,
    judged.unusual_missing_rate,
    cast(
        case
            when
                judged.unusual_psi > {{ setting("drift_psi_large") }}
                or judged.unusual_missing_rate > {{ setting("drift_share_change") }}
            then 'large'
            when judged.unusual_psi > {{ setting("drift_psi_moderate") }}
            then 'moderate'
            else 'stable'
        end as string
    ) as drift
from judged
cross join dates

-- Grain: one row per bin of the model in use: customers with a like prediction and recency, and what was
-- measured on them out of time. Every customer's confidence is looked up here.
{{ config(
    tags=["challenger"], alias="challenger_calibration" if setting("is_challenger") else "calibration"
) }}
{% set plan = scoring_plan() %}
{% set bins = plan.model.calibration.bins if plan.model is not none else [] %}

with
    bins as (
        {% for bin in bins %}
            select
                {{ loop.index }} as bin_number,
                {{ number_or(bin.predicted_from, "-Infinity") }} as predicted_from,
                {{ number_or(bin.predicted_below, "Infinity") }} as predicted_below,
                {{ number_or(bin.recency_from_days, "-Infinity") }} as recency_from_days,
                {{ number_or(bin.recency_below_days, "Infinity") }} as recency_below_days,
                {{ bin.customers }} as customers,
                {{ number_or(bin.ratio_sd, 0) }} as ratio_sd,
                {{ number_or(bin.confidence, 0) }} as confidence,
                {{ number_or(plan.model.calibration.level_log_sd, 0) }} as level_log_sd,
                {{ number_or(plan.model.calibration.coverage, 0) }} as coverage,
                '{{ plan.model.version }}' as model_version
                {{ "union all" if not loop.last }}
        {% else %}
            select
                null as bin_number,
                null as predicted_from,
                null as predicted_below,
                null as recency_from_days,
                null as recency_below_days,
                null as customers,
                null as ratio_sd,
                null as confidence,
                null as level_log_sd,
                null as coverage,
                null as model_version
            where false
        {% endfor %}
    )

select
    cast(bin_number as int) as bin_number,
    cast(predicted_from as double) as predicted_from,
    cast(predicted_below as double) as predicted_below,
    cast(recency_from_days as double) as recency_from_days,
    cast(recency_below_days as double) as recency_below_days,
    cast(customers as int) as customers,
    cast(ratio_sd as double) as ratio_sd,
    cast(confidence as double) as confidence,
    cast(level_log_sd as double) as level_log_sd,
    cast(coverage as double) as coverage,
    cast(model_version as string) as model_version
from bins

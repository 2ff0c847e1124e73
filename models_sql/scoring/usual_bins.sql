-- Grain: model_version x feature x as_of_date x bin_number: customers of the shop's own dates by bin.
-- The bins are those of `feature_bins`, the dates those from the newest that the model learned from up to
-- its first scores. Made once and kept: what comes later is compared with what was usual then.
{{ config(materialized="incremental", incremental_strategy="append") }}
{% set model = scoring_plan().model %}
{% set learned_from = training_dates_without_bins(model) %}
{% set names = model.features | map(attribute="name") | list if learned_from else [] %}

with
    dates as (select * from {{ ref("as_of_dates") }} where is_grid and not is_scoring_date),

    features as (select * from {{ ref("customer_features") }}),

    baselines as (select * from {{ ref("customer_baselines") }}),

    anchors as (select * from {{ ref("customer_anchors") }}),

    learned as (
        select *
        from {{ ref("feature_bins") }}
        where model_version = '{{ model.version if model is not none else "" }}'
    ),

    usual_dates as (
        select as_of_date
        from dates
        where as_of_date >= date '{{ learned_from | max if learned_from else "9999-01-01" }}'
    ),

    customers as (
        select {%- for name in names %} {{ name }}, {% endfor %} usual_dates.as_of_date
        from usual_dates
        inner join features on features.as_of_date = usual_dates.as_of_date
        inner join
            baselines
            on baselines.customer_id = features.customer_id
            and baselines.as_of_date = features.as_of_date
        inner join
            anchors on anchors.customer_id = features.customer_id and anchors.as_of_date = features.as_of_date
    ),

    bins as (
        select
            usual_dates.as_of_date,
            learned.feature as measure,
            learned.bin_number,
            learned.value_above,
            learned.value_to,
            learned.row_count
        from learned
        cross join usual_dates
    ),

    counted as ({{ counted_values(names, "customers", dated=true) }}),

    found as ({{ found_in_tenths("bins", "counted", dated=true) }})

select
    cast('{{ model.version if model is not none else "" }}' as string) as model_version,
    measure as feature,
    as_of_date,
    bin_number,
    found_count as row_count
from found

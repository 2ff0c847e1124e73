-- Grain: model_version x feature x bin_number: tenths of the rows that a model learned from, by each of
-- its features. Made once, while the training dates are still there, and kept: what comes later is
-- compared with what the model saw.
{{ config(materialized="incremental", incremental_strategy="append") }}
{% set model = scoring_plan().model %}
{% set dates = training_dates_without_bins(model) %}
{% set names = model.features | map(attribute="name") | list if dates else [] %}

with
    rows_of_dates as (select * from {{ ref("training_rows") }}),

    learned as (
        select {%- for name in names %} {{ name }}, {% endfor %} as_of_date
        from rows_of_dates
        where
            is_trainable
            and as_of_date in (
                {%- for date in dates %}date '{{ date }}'{{ "," if not loop.last }}
                {%- else %}null
                {%- endfor %}
            )
    ),

    -- today may look back from before those dates; then the bins wait
    dates_found as (select count(*) as date_count from (select distinct as_of_date from learned) as found),

    counted as ({{ counted_values(names, "learned") }}),

    bins as ({{ tenths_of("counted") }})

select
    cast('{{ model.version if model is not none else "" }}' as string) as model_version,
    bins.measure as feature,
    cast(bins.bin_number as int) as bin_number,
    bins.value_above,
    bins.value_to,
    bins.row_count
from bins
cross join dates_found
where dates_found.date_count = {{ dates | length }}

-- Grain: customer_id x as_of_date: what the baselines predicted for the customers whom a model scored, for
-- every scoring date so far. Features of scoring dates off the grid are pruned long before anybody knows
-- who was right. Of a past date it keeps what was said then, also where features were defined anew since.
{{ config(
    materialized="incremental",
    incremental_strategy="delete+insert" if target.type == "duckdb" else "insert_overwrite",
    unique_key="as_of_date",
    partition_by="as_of_date" if target.type == "spark" else none
) }}

with
    predictions as (select customer_id, as_of_date from {{ ref("customer_predictions") }}),

    baselines as (select * from {{ ref("customer_baselines") }}),

    today as (select as_of_date from {{ ref("as_of_dates") }} where is_scoring_date)

select
    baselines.customer_id,
    baselines.as_of_date,
    {{ feature_columns("customer_baselines", "baselines") }}
    baselines.build_hash
from baselines
inner join
    predictions
    on predictions.customer_id = baselines.customer_id
    and predictions.as_of_date = baselines.as_of_date
{%- if is_incremental() %}
    where
        not exists (
            select 1
            from {{ this }} as earlier
            cross join today
            where
                earlier.as_of_date = baselines.as_of_date
                and (earlier.build_hash = baselines.build_hash or earlier.as_of_date <> today.as_of_date)
        )
{%- endif %}

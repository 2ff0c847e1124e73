-- Grain: customer_id x as_of_date x driver_rank: what moved the prediction away from the base, largest
-- first, in the reporting currency. Exact: driver_base plus all contributions of a customer is
-- clv_predicted. Drivers beyond the first drivers_kept share the last row.
{{ config(
    materialized="incremental",
    incremental_strategy="delete+insert" if target.type == "duckdb" else "insert_overwrite",
    tags=["challenger"],
    alias="challenger_drivers" if setting("is_challenger") else "customer_drivers",
    unique_key="(as_of_date, model_version)" if setting("is_challenger") else "as_of_date",
    partition_by="as_of_date" if target.type == "spark" else none
) }}
{% set model = scoring_plan().model %}

with
    candidates as (select * from {{ ref("scoring_rows") }}),
    {% if model is not none %}

        -- large batches, since explaining many at once is ten times faster than a few
        numbered as (
            select candidates.*, {{ batch_of("customer_id") }} as batch_number
            from candidates
            where {{ not_yet_scored("candidates", model) }}
        ),

        batches as (
            select
                as_of_date,
                build_hash,
                batch_number,
                {{ list_of(model_struct(model, model.explained_columns, also=["customer_id"])) }} as customers
            from numbered
            group by as_of_date, build_hash, batch_number
        ),

        explained as (
            select
                as_of_date,
                build_hash,
                {{ explode("clv_explain(customers, " ~ setting("drivers_kept") ~ ")") }} as driver
            from batches
        ),

        drivers as (
            select
                driver.customer_id as customer_id,
                as_of_date,
                driver.driver_rank as driver_rank,
                {{ driver_label("driver.driver_column") }} as driver_name,
                nullif(driver.driver_column, 'all other drivers') as driver_column,
                driver.driver_value as driver_value,
                driver.contribution as contribution,
                driver.driver_base as driver_base,
                cast('{{ model.version }}' as string) as model_version,
                build_hash
            from explained
        )
    {% else %}

        drivers as (
            select
                customer_id,
                as_of_date,
                null as driver_rank,
                cast(null as string) as driver_name,
                cast(null as string) as driver_column,
                null as driver_value,
                null as contribution,
                null as driver_base,
                cast(null as string) as model_version,
                build_hash
            from candidates
            where false
        )
    {% endif %}

select
    customer_id,
    as_of_date,
    cast(driver_rank as int) as driver_rank,
    cast(driver_name as string) as driver_name,
    driver_column,
    cast(driver_value as double) as driver_value,
    cast(contribution as double) as contribution,
    cast(driver_base as double) as driver_base,
    model_version,
    build_hash
from drivers

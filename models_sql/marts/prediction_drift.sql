-- Grain: as_of_date x kind x measure: what was predicted on a scoring date and on the scoring date before
-- it. One row per output of the model (kind `output`), and one per way in which estimates were made (kind
-- `method`, a value of clv_method).
{{ config(
    materialized="incremental",
    incremental_strategy="delete+insert" if target.type == "duckdb" else "insert_overwrite",
    unique_key="as_of_date",
    partition_by="as_of_date" if target.type == "spark" else none
) }}

with
    outputs as (select * from {{ ref("output_changes") }}),

    customers as (select * from {{ ref("customer_clv") }}),

    dates as (select as_of_date from {{ ref("as_of_dates") }} where is_scoring_date),

    methods as (
        select clv_method as measure, count(*) as customers, sum(clv_estimate) as total
        from customers
        group by clv_method
    ),

    -- the ways of the date before, as this table remembers them
    remembered as (
        {% if is_incremental() -%}
            select earlier.as_of_date, earlier.measure, earlier.customers, earlier.total
            from {{ this }} as earlier
            inner join dates on earlier.as_of_date < dates.as_of_date
            where earlier.kind = 'method' and earlier.customers > 0
        {%- else -%}
            select as_of_date, cast(null as string) as measure, 0 as customers, 0 as total
            from dates
            where false
        {%- endif %}
    ),

    newest as (select max(as_of_date) as as_of_date from remembered),

    methods_before as (
        select remembered.* from remembered inner join newest on newest.as_of_date = remembered.as_of_date
    ),

    sides as (
        select 'output' as kind, outputs.*
        from outputs
        union all
        select
            'method' as kind,
            coalesce(methods.measure, methods_before.measure) as measure,
            null as model_version,
            newest.as_of_date as previous_as_of_date,
            null as previous_model_version,
            coalesce(methods.customers, 0) as customers,
            methods_before.customers as previous_customers,
            coalesce(methods.total, 0) as total,
            methods_before.total as previous_total,
            null as psi,
            null as upper_half_change
        from methods
        full outer join methods_before on methods_before.measure = methods.measure
        cross join newest
    ),

    shared as (
        select
            sides.*,
            {{ ratio("customers", "case when kind = 'method' then sum(customers) over (partition by kind) end") }}
            as share,
            case
                when sum(previous_customers) over (partition by kind) > 0
                then
                    {{ ratio(
                        "coalesce(previous_customers, 0)",
                        "case when kind = 'method' then sum(previous_customers) over (partition by kind) end"
                    ) }}
            end as previous_share
        from sides
    )

select
    dates.as_of_date,
    cast(shared.kind as string) as kind,
    cast(shared.measure as string) as measure,
    shared.previous_as_of_date,
    cast(shared.model_version as string) as model_version,
    cast(shared.previous_model_version as string) as previous_model_version,
    cast(shared.customers as bigint) as customers,
    cast(shared.previous_customers as bigint) as previous_customers,
    shared.share,
    shared.previous_share,
    cast(shared.total as decimal(18, 2)) as total,
    cast(shared.previous_total as decimal(18, 2)) as previous_total,
    cast(shared.psi as double) as psi,
    cast(shared.upper_half_change as double) as upper_half_change,
    cast(
        case
            when shared.previous_as_of_date is null
            then null
            when
                shared.psi > {{ setting("drift_psi_large") }}
                or abs(shared.share - shared.previous_share) > {{ setting("drift_share_change") }}
                or (
                    shared.measure in ('clv_predicted', 'clv_typical')
                    and abs({{ ratio("shared.total", "shared.previous_total") }} - 1.0e0)
                    > {{ setting("drift_total_change") }}
                )
            then 'large'
            when shared.psi > {{ setting("drift_psi_moderate") }}
            then 'moderate'
            else 'stable'
        end as string
    ) as drift
from shared
cross join dates

-- Grain: one row per as_of_date: what both estimates expect of all customers together in the horizon, and
-- what these then spent, where that is known today.
{{ config(materialized="table") }}

with
    baselines as (select * from {{ ref("customer_baselines") }}),

    labels as (select * from {{ ref("customer_labels") }}),

    expected as (
        select
            as_of_date,
            count(*) as customer_count,
            cast(sum(steady_value) as double) as persistence_total,
            cast(sum(probabilistic_value) as double) as probabilistic_total,
            round(
                ln({{ ratio("nullif(sum(steady_value), 0)", "sum(probabilistic_value)") }}), 9
            ) as log_persistence_ratio,
            count(coalesce(renewal_value, btyd_value)) > 0 as is_fitted
        from baselines
        group by as_of_date
    ),

    happened as (
        select labels.as_of_date, cast(sum(labels.label_revenue) as double) as actual_total
        from labels
        inner join
            baselines
            on baselines.customer_id = labels.customer_id
            and baselines.as_of_date = labels.as_of_date
        group by labels.as_of_date
    )

select
    expected.as_of_date,
    cast(expected.customer_count as bigint) as customer_count,
    expected.persistence_total,
    expected.probabilistic_total,
    expected.log_persistence_ratio,
    expected.is_fitted,
    happened.actual_total
from expected
left join happened on happened.as_of_date = expected.as_of_date

-- Grain: one row per as_of_date: what the shop's customers as a whole are expected to spend in the horizon. The level is
-- the probabilistic total, corrected by how far it was off where the answer was already known by the date: in the same
-- window a year earlier if there is one, else in the last window that had ended.
{{ config(materialized="table") }}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    fitted as (select * from {{ ref("fitted_dates") }}),

    baselines as (select * from {{ ref("customer_baselines") }}),

    labels as (select * from {{ ref("customer_labels") }}),

    totals as (
        select
            as_of_date,
            cast(sum(greatest(persistence_value, 0)) as double) as persistence_total,
            cast(sum(empirical_bayes_value) as double) as empirical_bayes_total,
            cast(sum(bgnbd_value) as double) as bgnbd_total,
            cast(sum(paretonbd_value) as double) as paretonbd_total
        from baselines
        group by as_of_date
    ),

    actuals as (
        select labels.as_of_date, cast(sum(labels.label_revenue) as double) as actual_total
        from labels
        inner join
            baselines on baselines.customer_id = labels.customer_id and baselines.as_of_date = labels.as_of_date
        group by labels.as_of_date
    )

select totals.as_of_date, fitted.build_hash, totals.*, actuals.actual_total from totals
left join actuals on actuals.as_of_date = totals.as_of_date
inner join fitted on fitted.as_of_date = totals.as_of_date

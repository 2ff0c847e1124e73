-- Grain: customer_id x as_of_date x estimator: what a baseline of record expected, and what was then spent.
-- Customers are those who had bought; what they spent is known where the date's horizon is past. A baseline
-- that lacks a value for anybody on a date is left out there.
{{ config(materialized="view") }}

with
    baselines as (select * from {{ ref("customer_baselines") }}),

    labels as (select * from {{ ref("customer_labels") }}),

    expected as (
        {% for estimator, column in baseline_columns().items() %}
            select
                customer_id, as_of_date, '{{ estimator }}' as estimator, greatest({{ column }}, 0) as expected
            from baselines
            where {{ column }} is not null {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    everybody as (select as_of_date, count(*) as customer_count from baselines group by as_of_date),

    means as (
        select expected.as_of_date, expected.estimator, {{ ratio("sum(expected)", "count(*)") }} as mean_value
        from expected
        inner join everybody on everybody.as_of_date = expected.as_of_date
        group by expected.as_of_date, expected.estimator
        having count(*) = max(everybody.customer_count)
    )

select
    expected.customer_id,
    expected.as_of_date,
    cast(expected.estimator as string) as estimator,
    cast(expected.expected as decimal(18, 2)) as expected_revenue,
    coalesce(means.mean_value, 0.0e0) as mean_value,
    labels.label_revenue,
    labels.label_purchases
from expected
inner join means on means.as_of_date = expected.as_of_date and means.estimator = expected.estimator
left join labels on labels.customer_id = expected.customer_id and labels.as_of_date = expected.as_of_date

-- Grain: customer_id x as_of_date: what buyers of past dates waited for the next order, and who is like them.
-- Today's buyers, who still wait, are placed among the former: who buys by a clock by the days until the next
-- purchase is due, and waits from then; everybody else by the chance of buying and the silence so far.
with
    dates as (
        select
            as_of_date,
            is_scoring_date,
            row_number() over (
                partition by is_scoring_date, is_labelled order by as_of_date desc nulls last
            ) as newest_first
        from {{ ref("as_of_dates") }}
        where is_scoring_date or is_labelled
    ),

    used as (select * from dates where is_scoring_date or newest_first <= {{ wait_dates_learned_from() }}),

    purchases as (select * from {{ ref("customer_rfm") }} where total_purchases > 0),

    baselines as (select * from {{ ref("customer_baselines") }}),

    clocks as (select * from {{ ref("buyer_clocks") }}),

    labels as (select * from {{ ref("customer_labels") }}),

    buyers as (
        select
            purchases.customer_id,
            purchases.as_of_date,
            used.is_scoring_date,
            cast(purchases.days_since_last_purchase as double) as silent_days,
            baselines.log_buying_odds,
            case
                when clocks.regular_share > 0.5e0
                then round(exp(clocks.log_gap), 3) - purchases.days_since_last_purchase
            end as due_days,
            labels.label_wait_days
        from purchases
        inner join used on used.as_of_date = purchases.as_of_date
        inner join
            baselines
            on baselines.customer_id = purchases.customer_id
            and baselines.as_of_date = purchases.as_of_date
        left join
            clocks on clocks.customer_id = purchases.customer_id and clocks.as_of_date = purchases.as_of_date
        left join
            labels on labels.customer_id = purchases.customer_id and labels.as_of_date = purchases.as_of_date
    ),

    waiting as (
        select
            buyers.*,
            due_days is not null as is_regular,
            coalesce(due_days, log_buying_odds) as first_key,
            case when due_days is null then silent_days else 0.0e0 end as second_key,
            case when is_scoring_date then 0 else 1 end as is_known,
            greatest(0.0e0, coalesce(due_days, 0.0e0)) as start_days
        from buyers
        where is_scoring_date or label_wait_days is not null
    ),

    by_first as (
        select waiting.*, {{ place_among_known(10, "is_regular", "first_key") }} as tenth from waiting
    ),

    by_both as (
        select by_first.*, {{ place_among_known(3, "is_regular, tenth", "second_key") }} as third
        from by_first
    )

select
    customer_id,
    as_of_date,
    is_scoring_date,
    is_regular,
    cast(tenth as int) as tenth,
    cast(third as int) as third,
    silent_days,
    start_days,
    label_wait_days - start_days as days_beyond_start
from by_both

-- Grain: customer_id, for everyone who had bought: what stands in where no model scores. It is the best
-- baseline by what is known on the scoring date. Bounds and the chance of churn are what was measured on
-- past dates, on customers of the same tenth by this baseline; NULL where no horizon is past. There nothing
-- says how many will leave either: buyers of today, who can only become fewer, are together not given more
-- than the shop's pace of the last year, new buyers included, which is the total of persistence.
with
    dates as (select * from {{ ref("as_of_dates") }} where is_scoring_date),

    best as (select * from {{ ref("baseline_ranking") }} where place = 1),

    results as (select * from {{ ref("past_baselines") }}),

    pace as (
        select max(results.mean_value) as mean_value
        from results
        inner join dates on dates.as_of_date = results.as_of_date
        where results.estimator = 'persistence'
    ),

    placed as (
        select
            results.*,
            cast(results.expected_revenue as double) as expected,
            cast(results.expected_revenue as double) + results.mean_value as scale,
            cast(
                floor(
                    {{ ratio(
                        "10 * (rank() over (partition by results.as_of_date order by results.expected_revenue desc nulls last) - 1)",
                        "count(*) over (partition by results.as_of_date)"
                    ) }}
                ) as int
            ) as tenth
        from results
        inner join best on best.estimator = results.estimator
    ),

    misses as (
        select
            tenth,
            case when label_purchases = 0 then 1 else 0 end as stayed_away,
            round((cast(label_revenue as double) - expected) / nullif(scale, 0.0e0), 9) as miss
        from placed
        where label_revenue is not null
    ),

    {% set outside = (1 - setting("interval_coverage")) / 2 %}
    measured as (
        select
            tenth,
            {{ ratio("sum(stayed_away)", "count(*)") }} as churn_probability,
            percentile_disc({{ outside | round(9) }}) within group (order by miss) as low_miss,
            percentile_disc({{ (1 - outside) | round(9) }}) within group (order by miss) as high_miss
        from misses
        group by tenth
        having count(miss) >= {{ least_measured_customers() }}
    )

select
    placed.customer_id,
    placed.as_of_date,
    placed.estimator,
    case
        when best.known_date_count = 0 and pace.mean_value < placed.mean_value
        then {{ money("placed.expected * (" ~ ratio("pace.mean_value", "placed.mean_value") ~ ")") }}
        else placed.expected_revenue
    end as expected_revenue,
    case
        when measured.low_miss is not null
        then greatest(0.0e0, placed.expected + measured.low_miss * placed.scale)
    end as clv_low,
    case
        when measured.high_miss is not null
        then greatest(0.0e0, placed.expected + measured.high_miss * placed.scale)
    end as clv_high,
    measured.churn_probability,
    best.known_date_count
from placed
inner join dates on dates.as_of_date = placed.as_of_date
cross join best
cross join pace
left join measured on measured.tenth = placed.tenth

-- Grain: channel x calendar_month: what was spent on winning customers in the month, up to the scoring
-- date. A period's money is spread evenly over its days. NULL where a day of the month is in no period,
-- or its money has no rate: what nobody knows is not nothing.
with
    costs as (select * from {{ source("raw", "acquisition_costs") }}),

    rates as (select * from {{ ref("stg_reporting_rates") }}),

    dates as (select as_of_date from {{ ref("as_of_dates") }} where is_scoring_date),

    spread as (
        select
            cast({{ channel_group("costs.channel") }} as string) as channel,
            cast(costs.period_start as date) as period_start,
            {{ days_between("costs.period_start", "costs.period_end") }} as days_after_first,
            case
                when costs.currency in ('', '{{ setting("reporting_currency") }}')
                then cast(costs.spend as double)
                else cast(costs.spend as double) * cast(rates.rate_to_reporting as double)
            end as spend
        from costs
        left join rates on {{ rate_holds("costs.currency", "cast(costs.period_start as timestamp)") }}
    ),

    numbered as (
        select
            channel,
            period_start,
            spend / (days_after_first + 1.0e0) as day_spend,
            {{ explode(whole_numbers(0, "days_after_first")) }} as day_number
        from spread
    ),

    days as (
        select
            numbered.channel,
            numbered.period_start + cast(numbered.day_number as int) as spent_on,
            numbered.day_spend,
            dates.as_of_date
        from numbered
        inner join dates on numbered.period_start + cast(numbered.day_number as int) < dates.as_of_date
    ),

    months as (
        select
            channel,
            {{ month_after("spent_on", 0) }} as calendar_month,
            max(as_of_date) as as_of_date,
            sum({{ whole("day_spend * 1000000.0E0") }}) as spend_millionths,
            count(*) - count(day_spend) as days_without_rate,
            count(distinct spent_on) as days_known
        from days
        group by channel, {{ month_after("spent_on", 0) }}
    )

select
    channel,
    calendar_month,
    case
        when
            days_without_rate = 0
            and days_known
            = {{ days_between("calendar_month", "least(" ~ month_after("calendar_month", 1) ~ ", as_of_date)") }}
        then {{ money("spend_millionths / 1000000.0e0") }}
    end as spend
from months

-- Grain: one row per row of the feed, typed, with the first reason against it (NULL: kept) and whether it
-- is new. One row per channel, period and currency; the first one stands. A period may lie ahead, as a
-- budget does.
with
    settings as (select * from ingest_settings),

    typed as (
        select
            feed_row,
            clean_text(channel) as channel,
            calendar_day(clean_text(period_start)) as period_start,
            calendar_day(clean_text(period_end)) as period_end,
            money(clean_text(spend)) as spend,
            -- nothing is whatever the shop reports in, also where that is not known yet
            coalesce(upper(clean_text(currency)), '') as currency,
            coalesce(upper(clean_text(currency)), reporting_currency) as meant_currency,
            has_nul(concat(channel, period_start, period_end, spend, currency)) as has_nul
        from mapped
        cross join settings
    ),

    judged as (
        select
            *,
            case
                when has_nul
                then 'nul_byte'
                when channel is null
                then 'no_channel'
                when period_start is null or period_end is null
                then 'invalid_period'
                when period_start < date '1970-01-02' or period_end > period_start + interval '10 years'
                then 'invalid_period'
                when period_end < period_start
                then 'invalid_period'
                when spend is null or spend < 0
                then 'invalid_spend'
                when not regexp_full_match(currency, '([A-Z]{3})?')
                then 'invalid_currency'
            end as own_reason
        from typed
    ),

    copies as (
        select *, row_number() over same_key as copy, first_value(spend) over same_key as first_spend
        from judged
        window
            same_key as (
                partition by own_reason, channel, period_start, period_end, meant_currency order by feed_row
            )
    ),

    known as (
        select
            costs.channel,
            costs.period_start,
            costs.period_end,
            coalesce(nullif(costs.currency, ''), settings.reporting_currency) as meant_currency,
            min(costs.spend) as spend
        from known_acquisition_costs as costs
        cross join settings
        group by all
    ),

    checked as (
        select
            copies.feed_row,
            copies.channel,
            copies.period_start,
            copies.period_end,
            copies.spend,
            copies.currency,
            case
                when copies.own_reason is not null
                then copies.own_reason
                when copies.spend <> coalesce(known.spend, copies.first_spend)
                then 'conflicting_spend'
                when copies.copy > 1
                then 'duplicate'
            end as reason,
            reason is null and known.channel is null as is_new
        from copies
        left join
            known
            on copies.channel = known.channel
            and copies.period_start = known.period_start
            and copies.period_end = known.period_end
            and copies.meant_currency = known.meant_currency
    )

select *
from checked

-- Grain: one row per currency of money without a rate on its day. How many events, and what its rates are
-- quoted in where they lead to the reporting currency on no day, which stops the next run (the macro
-- refuse_unrated_money). Reads known_events, known_undone_events, known_rates, rated_currencies.
with
    money as (
        select currency, occurred_at
        from known_events
        where amount is not null
        union all
        select currency, occurred_at
        from known_undone_events
        where amount is not null
    ),

    rates as (select currency, coalesce(quote_currency, $reporting) as quote_currency from known_rates),

    legs as (
        select currency, quote_currency
        from rates
        where currency <> quote_currency
        union all
        select quote_currency, currency
        from rates
        where currency <> quote_currency
    ),

    quotes as (select currency, min(quote_currency) as quote_currency from legs group by currency)

select
    money.currency,
    count(*) as events,
    case when min(rated.rated_from) is null then min(quotes.quote_currency) end as quote
from money
left join rated_currencies($reporting) as rated on rated.currency = money.currency
left join quotes on quotes.currency = money.currency
where money.currency <> $reporting and (rated.rated_from is null or rated.rated_from > money.occurred_at)
group by money.currency
order by money.currency

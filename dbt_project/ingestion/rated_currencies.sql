-- Grain: one row per currency that can be converted, and since when: directly, or over a third currency. As
-- the model stg_crossed_rates does it. Reads known_rates; takes the reporting currency.
create or replace temp macro rated_currencies(reporting) as table
    with
        rates as (
            select currency, coalesce(quote_currency, reporting) as quote_currency, valid_from from known_rates
        ),

        legs as (
            select currency, quote_currency, valid_from
            from rates
            union all
            select quote_currency, currency, valid_from
            from rates
        ),

        begins as (
            select currency, quote_currency, min(valid_from) as begins_at from legs group by currency, quote_currency
        ),

        ways as (
            select currency, begins_at from begins where quote_currency = reporting
            union all
            select near.currency, greatest(near.begins_at, far.begins_at)
            from begins as near
            inner join begins as far on far.currency = near.quote_currency and far.quote_currency = reporting
        )

    select currency, min(begins_at) as rated_from from ways group by currency

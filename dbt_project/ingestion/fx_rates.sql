-- Grain: one row per row of the feed, typed, with the first reason against it (NULL: kept) and whether it
-- is new. One rate per pair of currencies and instant; the first one stands. A rate may be known ahead
-- of its day.
with
    settings as (select * from ingest_settings),

    typed as (
        select
            feed_row,
            upper(clean_text(currency)) as currency,
            upper(clean_text(quote_currency)) as quote_currency,
            utc_instant(clean_text(valid_from)) as valid_from,
            rate(clean_text(rate_to_reporting)) as rate_to_reporting,
            has_nul(concat(currency, quote_currency, valid_from, rate_to_reporting)) as has_nul
        from mapped
    ),

    -- a file comes again, maybe under another reporting currency: what most of its rows are known under
    -- is the quote of all that say none
    known_before as (
        select coalesce(known.quote_currency, reporting_currency) as known_quote
        from typed
        inner join
            known_rates as known
            on known.currency = typed.currency
            and known.valid_from = typed.valid_from
            and known.rate_to_reporting = typed.rate_to_reporting
        cross join settings
        where typed.quote_currency is null
        group by known_quote, reporting_currency
        order by count(*) desc, known_quote = reporting_currency, known_quote
        limit 1
    ),

    quoted as (
        select
            typed.* exclude (quote_currency),
            coalesce(
                typed.quote_currency, (select known_quote from known_before), reporting_currency
            ) as quote_currency
        from typed
        cross join settings
    ),

    judged as (
        select
            *,
            case
                when has_nul
                then 'nul_byte'
                when
                    currency is null
                    or not regexp_full_match(currency, '[A-Z]{3}')
                    or not regexp_full_match(quote_currency, '[A-Z]{3}')
                then 'invalid_currency'
                when valid_from is null
                then 'invalid_valid_from'
                when rate_to_reporting is null or rate_to_reporting <= 0
                then 'invalid_rate'
                when currency = quote_currency and rate_to_reporting <> 1
                then 'invalid_rate'
            end as own_reason
        from quoted
    ),

    copies as (
        select
            *, row_number() over same_key as copy, first_value(rate_to_reporting) over same_key as first_rate
        from judged
        window same_key as (partition by own_reason, currency, quote_currency, valid_from order by feed_row)
    ),

    known as (
        select
            currency,
            coalesce(quote_currency, reporting_currency) as quote_currency,
            valid_from,
            min(rate_to_reporting) as rate_to_reporting
        from known_rates
        cross join settings
        group by all
    ),

    checked as (
        select
            copies.feed_row,
            copies.currency,
            copies.valid_from,
            copies.rate_to_reporting,
            copies.quote_currency,
            case
                when copies.own_reason is not null
                then copies.own_reason
                when copies.rate_to_reporting <> coalesce(known.rate_to_reporting, copies.first_rate)
                then 'conflicting_rate'
                when copies.copy > 1
                then 'duplicate'
            end as reason,
            reason is null and known.currency is null as is_new
        from copies
        left join
            known
            on copies.currency = known.currency
            and copies.quote_currency = known.quote_currency
            and copies.valid_from = known.valid_from
    )

select *
from checked

-- Exchange rates: one unit of currency is rate_to_reporting units of quote_currency, from valid_from on.
-- Without a quote_currency it is the reporting currency.
-- table: fx_rates
-- requires: currency, valid_from, rate_to_reporting
-- optional: quote_currency
select feed_row, currency, valid_from, rate_to_reporting, quote_currency from feed

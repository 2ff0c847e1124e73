-- Exchange rates: one unit of currency is rate_to_reporting units of the reporting currency, from
-- valid_from on.
-- table: fx_rates
-- requires: currency, valid_from, rate_to_reporting
select feed_row, currency, valid_from, rate_to_reporting from feed

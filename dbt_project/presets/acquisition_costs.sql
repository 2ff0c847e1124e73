-- What winning customers cost: money spent on a channel or campaign from period_start to period_end,
-- both days included. Without a currency it is in the reporting currency.
-- table: acquisition_costs
-- requires: channel, period_start, period_end, spend
-- optional: currency
select feed_row, channel, period_start, period_end, spend, currency from feed

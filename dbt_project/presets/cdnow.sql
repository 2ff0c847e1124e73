-- CDNOW, the full cohort or its 1/10 sample: one row a purchase. The papers merge the purchases of one day,
-- so a
-- customer's day is the order. Identical rows are two purchases. Zero-dollar rows are kept.
-- table: events
-- event_id: numbered content
-- requires: customer_id|master_id, date, dollar_value|amount
-- optional: number_of_cds, n_cds
select
    feed_row,
    coalesce(customer_id, master_id) as customer_id,
    'purchase' as event_type,
    date as occurred_at,
    clean_text(coalesce(customer_id, master_id))
    || '-'
    || strftime(utc_instant(clean_text(date)), '%Y-%m-%d') as order_id,
    coalesce(number_of_cds, n_cds) as quantity,
    coalesce(dollar_value, amount) as amount,
    'USD' as currency
from feed

-- Warns of money that is left out of every sum because no exchange rate is known for its day.
{{ config(severity="warn") }}
select currency, count(*) as event_count, sum(source_amount) as amount
from {{ ref("int_unconverted_events") }}
group by currency

-- Warns of merges of customers that are set aside, since they lead in a circle.
{{ config(severity="warn") }}
select old_customer_id, new_customer_id, merged_at
from {{ ref("int_circular_merges") }}

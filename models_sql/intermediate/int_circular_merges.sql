-- Grain: one row per merge that leads back to where it began, in one step or several. Nobody can tell which
-- of its numbers is the person's. So is what lies more than 64 merges down a chain. A table, since an engine
-- that lays doubling upon doubling plans for ever.
with
    history as (select * from {{ ref("stg_id_history") }}),

    {{ followed_merges() }},

    -- where a chain has not ended by then; a circle's numbers lead to one another
    endless as (select distinct customer_id from round_6)

select history.old_customer_id, history.new_customer_id, history.merged_at
from history
inner join endless on endless.customer_id = history.old_customer_id

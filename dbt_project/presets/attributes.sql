-- Attributes of customers: one row per customer and instant from which they were known. Every other column
-- of the feed is
-- an attribute and kept as text; the setting customer_attributes declares which of them become features.
-- table: attributes
-- requires: customer_id, known_at
select
    feed_row,
    customer_id,
    known_at,
    json_merge_patch(raw_text, '{"customer_id": null, "known_at": null}') as attributes
from feed
inner join feed_texts using (feed_row)

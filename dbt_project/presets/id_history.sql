-- Customers who turned out to be one: the old id became the new one at that time.
-- table: id_history
-- requires: old_customer_id, new_customer_id, merged_at
select feed_row, old_customer_id, new_customer_id, merged_at from feed

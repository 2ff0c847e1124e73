-- UCI Online Retail II: one row an invoice line. Invoices whose number starts with C cancel earlier lines.
-- Postage, manual corrections and fees are lines like any other: they are money. Identical lines of one
-- invoice are
-- two lines, not one twice. Local times of the shop are taken as UTC. Ids such as 12346.0 were numbers once.
-- table: events
-- event_id: numbered content
-- requires: InvoiceNo|Invoice, StockCode, Quantity, InvoiceDate, UnitPrice|Price, CustomerID|Customer ID
-- optional: Description, Country
with
    lines as (
        select
            feed_row,
            clean_text(coalesce(invoiceno, invoice)) as invoice,
            regexp_replace(clean_text(coalesce(customerid, "Customer ID")), '\.0+$', '') as customer_id,
            clean_text(quantity) as quantity,
            clean_text(coalesce(unitprice, price)) as unit_price_gbp,
            stockcode as product_id,
            invoicedate as occurred_at
        from feed
    )

select
    feed_row,
    customer_id,
    case when invoice ilike 'C%' then 'refund' else 'purchase' end as event_type,
    occurred_at,
    invoice as order_id,
    product_id,
    quantity,
    round(
        quantity_of(quantity)
        * case when is_number(unit_price_gbp) then try_cast(unit_price_gbp as decimal(18, 6)) end,
        2
    ) as amount,
    'GBP' as currency
from lines

-- Customers as the files of other tools need them: value, list and e-mail address, in lower case
-- without spaces. Everybody where $list is empty, else those of the list who are not its control group.
-- The address is the newest attribute of the name $email, or the customer's number where that is one.
with
    told as (
        select
            coalesce(renamed.customer_id, attributes.customer_id) as customer_id,
            nullif(
                json_extract_string(attributes.attributes, '$."' || replace($email, '"', '') || '"'), ''
            ) as email,
            attributes.known_at
        from stg_attributes as attributes
        left join int_customer_ids as renamed on renamed.old_customer_id = attributes.customer_id
    ),

    newest as (
        select customer_id, max_by(email, known_at) as email
        from told
        where email is not null
        group by customer_id
    ),

    members as (
        select customer_id, list_name, reason, is_control_group from customer_actions where list_name = $list
    ),

    addressed as (
        select
            customers.*,
            members.list_name,
            members.reason,
            lower(regexp_replace(coalesce(newest.email, customers.customer_id), '\s', '', 'g')) as address
        from customer_clv as customers
        left join newest on newest.customer_id = customers.customer_id
        left join members on members.customer_id = customers.customer_id
        where $list = '' or not members.is_control_group
    ),

    readable as (
        select
            addressed.*,
            case
                when regexp_full_match(address, '[^@,;<>"]+@[^@,;<>"]+\.[^@.,;<>"]{2,}') then address
            end as email
        from addressed
    )

select
    readable.customer_id,
    readable.email,
    sha256(readable.email) as email_sha256,
    readable.as_of_date,
    readable.reporting_currency,
    greatest(readable.clv_estimate, 0) as clv_estimate,
    readable.horizon_days,
    round(1 - readable.churn_probability, 4) as order_probability,
    segments.value_tier,
    readable.certainty,
    readable.list_name,
    readable.reason,
    readable.total_purchases,
    readable.total_revenue,
    cast(readable.last_purchase_at as date) as last_purchase_on,
    next_orders.next_order_expected_on
from readable
left join customer_segments as segments on segments.customer_id = readable.customer_id
left join next_orders on next_orders.customer_id = readable.customer_id
order by readable.clv_estimate desc, readable.customer_id

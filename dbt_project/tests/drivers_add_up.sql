-- Fails on customers whose base, three contributions and rest are not clv_predicted within 1e-6. Also where
-- the full list of drivers is not. NULL contributions (fewer than three drivers) count as nothing.
with
    customers as (select * from {{ ref("customer_clv") }} where clv_predicted is not null),

    listed as (
        select customer_id, as_of_date, model_version, max(driver_base) + sum(contribution) as explained
        from {{ ref("customer_drivers") }}
        group by customer_id, as_of_date, model_version
    ),

    compared as (
        select
            customers.customer_id,
            customers.clv_predicted,
            customers.driver_base
            + customers.driver_rest
            + coalesce(customers.driver_1_contribution, 0.0e0)
            + coalesce(customers.driver_2_contribution, 0.0e0)
            + coalesce(customers.driver_3_contribution, 0.0e0) as shown,
            listed.explained
        from customers
        left join
            listed
            on listed.customer_id = customers.customer_id
            and listed.as_of_date = customers.as_of_date
            and listed.model_version = customers.clv_model_version
    )

select *
from compared
where
    shown is null
    or explained is null
    or abs(shown - clv_predicted) > 0.000001e0
    or abs(explained - clv_predicted) > 0.000001e0

-- The customer with this number, or whoever it was merged into. Grain: one row, none where the number is
-- unknown.
select
    customers.customer_id,
    customers.as_of_date,
    narratives.narrative,
    narratives.value_level,
    customers.clv_estimate,
    customers.clv_method,
    customers.clv_low,
    customers.clv_high,
    customers.certainty,
    customers.clv_prediction_confidence,
    customers.churn_probability,
    customers.clv_model_version,
    customers.driver_base,
    registry.reporting_currency
from customer_clv as customers
inner join customer_narratives as narratives on narratives.customer_id = customers.customer_id
left join model_registry as registry on registry.version = customers.clv_model_version
where
    customers.customer_id
    = coalesce((select max(customer_id) from int_customer_ids where old_customer_id = $customer), $customer)

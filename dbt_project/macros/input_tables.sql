{#- The tables that ingestion writes. Created empty where absent, so that `dbt build` passes on an empty warehouse
    and `clv ingest` finds the same columns. -#}
{% macro create_input_tables() -%}
    {% set statements %}
        create schema if not exists {{ setting("raw_schema") }};

        create table if not exists {{ setting("raw_schema") }}.events (
            event_id string not null,
            customer_id string not null,
            event_type string not null,
            occurred_at timestamp not null,
            recorded_at timestamp not null,
            session_id string,
            order_id string,
            product_id string,
            category string,
            quantity decimal(18, 3),
            amount decimal(18, 2),
            currency string
        );

        create table if not exists {{ setting("raw_schema") }}.id_history (
            old_customer_id string not null,
            new_customer_id string not null,
            merged_at timestamp not null
        );

        create table if not exists {{ setting("raw_schema") }}.fx_rates (
            currency string not null,
            valid_from timestamp not null,
            rate_to_reporting decimal(18, 8) not null
        );

        create table if not exists {{ setting("raw_schema") }}.attributes (
            customer_id string not null,
            known_at timestamp not null,
            attributes string not null
        );

        create table if not exists {{ setting("raw_schema") }}.quarantine (
            quarantine_id string not null,
            quarantined_at timestamp not null,
            source string not null,
            line_number bigint,
            reason string not null,
            raw_text string not null
        );

        create table if not exists {{ setting("raw_schema") }}.erased_customers (
            customer_hash string not null,
            salt string not null,
            erased_at timestamp not null
        );
    {% endset %}
    {% if execute %}
        {% for statement in statements.split(";") if statement.strip() %}
            {% do run_query(statement) %}
        {% endfor %}
    {% endif %}
{%- endmacro %}

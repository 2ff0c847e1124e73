{#- The tables that ingestion writes. Created empty where absent, so that `dbt build` passes on an empty warehouse
    and `clv ingest` finds the same columns. -#}
{% macro create_input_tables() -%}
    {% set statements %}
        create schema if not exists {{ setting("raw_schema") }};

        create table if not exists {{ setting("raw_schema") }}.events (
            event_id varchar not null,
            customer_id varchar not null,
            event_type varchar not null,
            occurred_at timestamp not null,
            recorded_at timestamp not null,
            session_id varchar,
            order_id varchar,
            product_id varchar,
            category varchar,
            quantity decimal(18, 3),
            amount decimal(18, 2),
            currency varchar
        );

        create table if not exists {{ setting("raw_schema") }}.id_history (
            old_customer_id varchar not null,
            new_customer_id varchar not null,
            merged_at timestamp not null
        );

        create table if not exists {{ setting("raw_schema") }}.fx_rates (
            currency varchar not null,
            valid_from timestamp not null,
            rate_to_reporting decimal(18, 8) not null
        );

        create table if not exists {{ setting("raw_schema") }}.attributes (
            customer_id varchar not null,
            known_at timestamp not null,
            attributes varchar not null
        );

        create table if not exists {{ setting("raw_schema") }}.quarantine (
            quarantine_id varchar not null,
            quarantined_at timestamp not null,
            source varchar not null,
            line_number bigint,
            reason varchar not null,
            raw_text varchar not null
        );

        create table if not exists {{ setting("raw_schema") }}.erased_customers (
            customer_hash varchar not null,
            salt varchar not null,
            erased_at timestamp not null
        );
    {% endset %}
    {% if execute %}
        {% for statement in statements.split(";") if statement.strip() %}{% do run_query(statement) %}{% endfor %}
    {% endif %}
{%- endmacro %}

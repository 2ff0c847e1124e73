{#- The tables that Python writes. Created empty where absent, so that plain dbt works before any training. The model
    folders are the truth: `model_registry` and `training_runs` are rebuilt from them. -#}
{% macro create_model_tables() -%}
    {% set statements %}
        create schema if not exists {{ target.schema }};

        create table if not exists {{ target.schema }}.model_registry (
            version string not null,
            model_type string,
            is_champion boolean not null,
            created_at timestamp,
            horizon_days int,
            reporting_currency string,
            feature_hash string,
            feature_count int,
            trained_through date,
            promotion_reason string,
            fault string
        );

        create table if not exists {{ target.schema }}.training_runs (
            version string not null,
            created_at timestamp not null,
            estimator string not null,
            metric string not null,
            metric_value double
        );

        create table if not exists {{ target.schema }}.backtest_metrics (
            origin date,
            segment string not null,
            estimator string not null,
            metric string not null,
            metric_value double,
            customers int not null
        );

        create table if not exists {{ target.schema }}.backtest_predictions (
            origin date not null,
            customer_id string not null,
            estimator string not null,
            predicted double,
            actual double not null,
            predicted_low double,
            predicted_high double,
            confidence double,
            churn_probability double
        );

        create table if not exists {{ target.schema }}.fitted_parameters (
            fitted_as_of date not null,
            build_hash string not null,
            name string not null,
            parameter_value double not null
        );
    {% endset %}
    {% if execute %}
        {% for statement in statements.split(";") if statement.strip() %}
            {% do run_query(statement) %}
        {% endfor %}
    {% endif %}
{%- endmacro %}

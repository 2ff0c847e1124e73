{#- The tables that Python writes. Created empty where absent, so that plain dbt works before any training. The model
    folders are the truth: `model_registry` and `training_runs` are rebuilt from them. -#}
{% macro create_model_tables() -%}
    {% set statements %}
        create schema if not exists {{ target.schema }};

        create table if not exists {{ target.schema }}.model_registry (
            version varchar not null,
            model_type varchar,
            is_champion boolean not null,
            created_at timestamp,
            horizon_days int,
            reporting_currency varchar,
            feature_hash varchar,
            feature_count int,
            trained_through date,
            promotion_reason varchar,
            fault varchar
        );

        create table if not exists {{ target.schema }}.training_runs (
            version varchar not null,
            created_at timestamp not null,
            estimator varchar not null,
            metric varchar not null,
            metric_value double
        );

        create table if not exists {{ target.schema }}.backtest_metrics (
            origin date,
            segment varchar not null,
            estimator varchar not null,
            metric varchar not null,
            metric_value double,
            customers int not null
        );

        create table if not exists {{ target.schema }}.backtest_predictions (
            origin date not null,
            customer_id varchar not null,
            estimator varchar not null,
            predicted double,
            actual double not null,
            predicted_low double,
            predicted_high double,
            confidence double,
            churn_probability double
        );

        create table if not exists {{ target.schema }}.fitted_parameters (
            fitted_as_of date not null,
            build_hash varchar not null,
            name varchar not null,
            parameter_value double not null
        );
    {% endset %}
    {% if execute %}
        {% for statement in statements.split(";") if statement.strip() %}{% do run_query(statement) %}{% endfor %}
    {% endif %}
{%- endmacro %}

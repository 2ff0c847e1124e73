-- Grain: one row per column of training_rows, keys left out: what it is for, as its description says
-- (meta). Training chooses its features by it.
{{ config(materialized="table") }}

with
    described as (
        select *
        from
            (
                values
                    {% for name, column in columns_with_roles(config.get("meta").roles).items() %}
                        {% set meta = column.config.meta %}
                        (
                            {{ loop.index }},
                            {{ words_or_null(name) }},
                            {{ words_or_null(meta.role) }},
                            {{ words_or_null(meta.get("driver")) }},
                            {{ words_or_null(meta.get("estimator")) }},
                            {{ words_or_null(meta.get("factors")) }},
                            {{ words_or_null(meta.get("addends")) }},
                            {{ words_or_null(meta.get("level")) }},
                            {{ words_or_null(meta.get("product")) }},
                            {{ words_or_null(meta.get("rest")) }}
                        )
                        {{ "," if not loop.last }}
                    {% endfor %}
            ) as described(
                column_number,
                column_name,
                role,
                driver,
                estimator,
                factors,
                addends,
                level_column,
                product_column,
                rest_driver
            )
    )

select
    column_number,
    column_name,
    role,
    driver,
    estimator,
    factors,
    addends,
    level_column,
    product_column,
    rest_driver
from described

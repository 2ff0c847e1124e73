"""SQL functions that stand in the published file, for readers."""

FORMULA = r"^[=+\-@＝＋－＠\t\r\n]"
"""What a spreadsheet runs, as a regular expression."""
CSV_SAFE = (
    f"create macro csv_safe(value) as case when regexp_matches(value, '{FORMULA}') "
    "then '''' || value else value end"
)
"""For CSV exports: text that a spreadsheet would run as a formula gets an apostrophe before it."""
CHANCE_OF_AT_LEAST = """
create macro chance_of_at_least(predicted, churn, amount) as
case
    when amount is null or predicted is null or churn is null then null
    when not exists (from amount_quantiles) then null
    when amount <= 0 then 1.0
    else (1 - churn) * (
        1 - coalesce(
            (
                select max(
                    case
                        when amount * (1 - churn) / predicted >= ratio_to then share_to
                        else share_from + (share_to - share_from)
                            * (amount * (1 - churn) / predicted - ratio_from) / (ratio_to - ratio_from)
                    end
                )
                from amount_quantiles
                where predicted / (1 - churn) >= expected_from
                    and predicted / (1 - churn) < expected_below
                    and amount * (1 - churn) / predicted >= ratio_from
            ),
            0 * predicted
        )
    )
end
"""
"""The chance that a customer spends an amount or more: what the bounds say, for any amount."""
FUNCTIONS = (CSV_SAFE, CHANCE_OF_AT_LEAST)
"""All of them, as the statements that create them."""

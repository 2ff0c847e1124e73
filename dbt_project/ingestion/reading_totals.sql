-- Which rows of a spreadsheet hold no sale but the sum of others (clean_text first).
create or replace temp macro is_total_label(value) as
    coalesce(
        regexp_matches(
            lower(value),
            '^((grand|net|overall|sub)[ -]?)?(totals?|totale|totaal|totalt|total général)([ :.]|$)'
            || '|^(gesamt|zwischen|end)?summe([ :.]|$)|^(gesamt|insgesamt|gesamtbetrag|summa|suma|somme|razem|ogółem'
            || '|celkem|összesen|yhteensä|i alt|итого|всего)([ :.]|$)'
            || '|^((genel|ara) )?toplam([ :.]|$)|^(合计|总计|小计|合計|総計|小計|합계|총계|소계)'
        ),
        false
    );

-- Which rows of a spreadsheet hold no sale but the sum of others (clean_text first).
create or replace temp macro is_total_label(value) as
    coalesce(
        regexp_matches(
            lower(value),
            '^((grand|net|overall|sub)[ -]?)?(totals?|totale|totaal|totalt|total général)([ :.]|$)'
            || '|^(gesamt|zwischen|end)?summe([ :.]|$)|^(gesamt|insgesamt|gesamtbetrag|summa|suma|somme|razem|ogółem'
            || '|celkem|összesen|yhteensä|i alt|итого|всего)([ :.]|$)'
            || '|^(gesamt)?ergebnis([ :.]|$)|. (total|subtotal|summe|ergebnis|toplam|razem|totale|totaal)$'
            || '|^(average|durchschnitt|mittelwert|promedio|moyenne|ortalama|średnia)([ :.]|$)'
            || '|^((genel|ara) )?toplam([ :.]|$)|^(合计|总计|小计|合計|総計|小計|합계|총계|소계)'
        ),
        false
    );

-- The name of a product, where it may be the word for a total and no more.
create or replace temp macro total_alone(value) as
    case when not contains(value, ' ') or ends_with(lower(value), 'total') then value end;

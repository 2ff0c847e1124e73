"""
A shop's life by seed: after each step everything is as a ledger in plain Python says.

Feeds, builds, runs, switches of models and settings, erasures, kills and readers come in an order that
hypothesis draws. A life that fails is shrunk to the shortest list of steps that still does.
"""

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import duckdb
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ingestion_helpers import write_csv
from kills import INGESTING, Lines
from ledger import Fed, Outcome, Row
from life_parts import (
    A_RESTATEMENT,
    A_ROW,
    CUSTOMERS,
    EVENT_COLUMNS,
    FIGURES,
    FIRST_DAYS,
    ORDER_COLUMNS,
    OTHER_SETTINGS,
    First,
    die_at,
    difference,
    drawn_event,
    forked,
    hold_open,
    how_it_ended,
    in_a_fresh_process,
    promote_until,
    publish_until,
    published_rows,
    raw_of,
)
from repeats import SCORES
from shops import (
    FEATURES_ONLY,
    OPENING,
    all_contents,
    build,
    contents,
    copied,
    execute,
    one,
    query,
    with_vars,
)
from standing import people

from clv_ml import pipeline
from clv_ml.engines import engine_of
from clv_ml.errors import ModelError, WarehouseBusyError
from clv_ml.ingest.choice import Choice
from clv_ml.model import registry
from clv_ml.operate import publication
from clv_ml.operate.erasure import erase
from clv_ml.operate.promotion import switch_model
from clv_ml.operate.value_changes import compare_models
from clv_ml.settings import Settings
from clv_ml.warehouse.dbt_runner import create_tables

STEPS = 50
SCORED = ("customer_predictions", "customer_drivers", "challenger_predictions", "challenger_drivers")
"""What was scored on the way, which a twin that is built once does not do. `SCORES` compares what is read."""


class Life(RuleBasedStateMachine):
    """
    One shop. ``first`` is what every life begins with; ``counts`` what lives did.
    """

    first: First
    counts: ClassVar[Counter[str]] = Counter()
    lives: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        # a life has all kinds of steps; hypothesis would leave out half of them, others each time
        of_all: Any = st.just(SimpleNamespace(is_enabled=lambda name: True))
        self._rules_strategy.enabled_rules_strategy = of_all
        self.folder = Path(tempfile.mkdtemp(prefix="clv-life-"))
        self.shop, self.ledger, self.pointers = self.first.opened(self.folder / "shop")
        self.day, self.files, self.numbers = FIRST_DAYS, list[Callable[[], None]](), 0
        self.since: Counter[str] = Counter()
        # the first life that hypothesis tries is always the shortest there is, and needs no twin
        type(self).lives += 1
        self.has_twin = self.lives > 1
        self.snapshots: dict[str, dict[date, list[str]]] = {}
        self.reader: tuple[duckdb.DuckDBPyConnection, list[str]] | None = None

    # feeds

    @rule(days=st.integers(0, 3), rows=st.lists(A_ROW, min_size=1, max_size=8))
    def feed_a_day(self, days: int, rows: list[dict[str, Any]]) -> None:
        """Sales, returns, visits, late rows, repeated and contradicting ones, dirt."""
        self.day += days
        self._feed_events([self._drawn(drawn) for drawn in rows])

    @rule(pick=st.integers(0, 999))
    def feed_a_file_again(self, pick: int) -> None:
        """A file that was fed before."""
        if self.files:
            self.files[pick % len(self.files)]()
            self._done("replays")

    @rule(picks=st.lists(A_RESTATEMENT, min_size=1, max_size=4))
    def feed_restated_orders(self, picks: list[tuple[int, int]]) -> None:
        """Orders, some known, with the money that holds now."""
        orders: dict[str, tuple[Row, tuple]] = {}
        for pick, amount in picks:
            known = [row for row in self.ledger.rows.values() if row.kind == "purchase"]
            row = known[pick % len(known)]
            if pick % 3 == 0:
                at = OPENING + timedelta(days=self.day, hours=11, minutes=7)
                row = Row("", CUSTOMERS[pick % len(CUSTOMERS)], "purchase", at, at, self._number("o"))
                row = replace(row, currency="GBP")
            own = [other for other in self.ledger.rows.values() if other.order == row.order]
            if len({(other.customer, other.currency) for other in own}) > 1 or row.order in orders:
                continue
            row = replace(
                row,
                id=f"order {row.order}",
                known=self.ledger.known_at(row.occurred, None),
                product=None,
                quantity=None,
                amount=Decimal(amount),
            )
            text = (row.order, row.customer, str(row.occurred), f"{amount}.00", row.currency)
            orders[row.order or ""] = row, text
        if orders:
            self._feed_orders(list(orders.values()))

    @rule(old=st.sampled_from(CUSTOMERS), new=st.sampled_from(CUSTOMERS))
    def feed_a_merge(self, old: str, new: str) -> None:
        """Two numbers turn out to be one person; some lead back to where they began."""
        at = OPENING + timedelta(days=self.day, seconds=self._next())
        text = (old, new, str(at))
        self._feed(
            "id_history",
            ("old_customer_id", "new_customer_id", "merged_at"),
            [text],
            lambda file: self.ledger.feed_merge(file, old, new, at, text),
            is_kept=False,
        )
        self._forget_snapshots()

    @rule(
        currency=st.sampled_from(("EUR", "JPY")),
        begins=st.sampled_from((-400, 0, 100, 190)),
        rate=st.sampled_from(("0.8", "0.9", "1.25")),
    )
    def feed_a_rate(self, currency: str, begins: int, rate: str) -> None:
        """A rate, of old or new; a second one of the same day contradicts it."""
        at = OPENING + timedelta(days=begins)
        text = (currency, str(at), rate)
        self._feed(
            "fx_rates",
            ("currency", "valid_from", "rate_to_reporting"),
            [text],
            lambda file: self.ledger.feed_rate(file, currency, at, Decimal(rate), text),
        )
        self._forget_snapshots()

    # builds and runs

    @precondition(lambda self: self.since["build"] >= 4)
    @rule()
    def dbt_run_of_features(self) -> None:
        """Plain ``dbt run`` of the features; then everybody is looked at, on every date."""
        build(self.shop, *FEATURES_ONLY)
        self._look_at_features()
        self._done("builds")

    @precondition(lambda self: self.since["run"] >= 12)
    @rule()
    def clv_run(self) -> None:
        """``clv run``: build, train where due, score, check, publish."""
        result = pipeline.run(self.shop, accept_loss=True)
        self._look_at_features()
        if result.training and result.training.version != self.pointers[-1]:
            self.pointers.append(result.training.version)
        self._look_at_scores()
        self._done("runs")

    @precondition(lambda self: self.since["setting"] >= 15)
    @rule(other=st.sampled_from(OTHER_SETTINGS))
    def change_a_setting_and_back(self, other: dict[str, Any]) -> None:
        """A build under another setting, and one under the old: all is as it was."""
        build(self.shop, *FEATURES_ONLY)
        self._look_at_features()
        before = all_contents(self.shop, tables=["customer_features"])
        changed = with_vars(self.shop, **other)
        build(changed, *FEATURES_ONLY)
        self._look_at_features(under=repr(other))
        build(self.shop, *FEATURES_ONLY)
        self._look_at_features()
        assert all_contents(self.shop, tables=["customer_features"]) == before, f"{other} left a trace"
        self._done("settings changed and back")

    # models

    @precondition(lambda self: self.since["switch"] >= 3)
    @rule(pick=st.integers(0, 9))
    def promote(self, pick: int) -> None:
        """Makes a version of the folder the champion."""
        versions = [model.version for model in registry.list_models(self.shop.models)]
        version = versions[pick % len(versions)]
        switch_model(self.shop, version, "by hand")
        if version != self.pointers[-1]:
            self.pointers.append(version)
        self._done("promotions", "switch")

    @precondition(lambda self: len(self.pointers) > 1 and self.since["switch"] >= 3)
    @rule()
    def rollback(self) -> None:
        """Returns to the champion before."""
        switch_model(self.shop, None, "by hand")
        self.pointers.pop()
        self._done("rollbacks", "switch")

    @precondition(lambda self: self.since["scored"] >= 10)
    @rule(pick=st.integers(0, 9))
    def pin(self, pick: int) -> None:
        """Scores with a pinned version, and everybody has that one's values; then with the champion again."""
        versions = [model.version for model in registry.list_models(self.shop.models)]
        pinned = with_vars(self.shop, model_version=versions[pick % len(versions)])
        engine_of(self.shop).build_features()
        self._look_at_features()
        for each in (pinned, self.shop):
            engine_of(each).score()
            self._look_at_marts(each)
        self._done("pins", "scored")

    @precondition(lambda self: self.since["challenger"] >= 10)
    @rule(pick=st.integers(0, 9))
    def challenge(self, pick: int) -> None:
        """A version scores beside the champion, and nobody sees anything of it."""
        versions = [model.version for model in registry.list_models(self.shop.models)]
        before = contents(self.shop, "customer_clv")
        with suppress(ModelError):
            compare_models(self.shop, self.pointers[-1], versions[pick % len(versions)])
        assert contents(self.shop, "customer_clv") == before, "a challenger is seen"
        self._done("challengers", "challenger")

    # people, readers and accidents

    @precondition(lambda self: self.since["erasure"] >= 6)
    @rule(who=st.sampled_from(CUSTOMERS))
    def erase(self, who: str) -> None:
        """A person is forgotten, under every number; the ledger forgets too."""
        if not any(row.customer == who for row in self.ledger.rows.values()):
            return
        erase(self.shop, who)
        self.ledger.erase(who)
        self._forget_snapshots()
        self._look_at_raw()
        for name in ("customer_features", "customer_clv"):
            gone = ", ".join(f"'{name}'" for name in self.ledger.erased)
            assert one(self.shop, f"select count(*) from {name} where customer_id in ({gone})") == 0
        self._done("erasures", "erasure")

    @precondition(lambda self: self.reader is None and self.since["reader"] >= 3)
    @rule()
    def open_what_is_published(self) -> None:
        """A reader keeps a publication open for as long as they like."""
        connection = duckdb.connect(self._published(), read_only=True)
        self.reader = connection, published_rows(connection)
        self._done("readers", "reader")

    @precondition(lambda self: self.reader is not None and self.since["reader"] >= 3)
    @rule()
    def close_what_is_published(self) -> None:
        """The reader goes."""
        assert self.reader
        self.reader[0].close()
        self.reader = None
        self._done("readers gone", "reader")

    @precondition(lambda self: self.since["analyst"] >= 6)
    @rule()
    def work_while_an_analyst_has_the_warehouse(self) -> None:
        """Who writes is told so, and nothing changes."""
        told, opened_it = os.pipe(), os.pipe()
        child = forked(lambda: hold_open(self.shop, opened_it[1], told[0]))
        os.close(opened_it[1])
        os.close(told[0])
        assert os.read(opened_it[0], 1), "nobody could read"
        try:
            for verb in (
                lambda: create_tables(self.shop),
                lambda: switch_model(self.shop, self.pointers[0], "by hand"),
            ):
                with pytest.raises(WarehouseBusyError):
                    verb()
        finally:
            os.write(told[1], b".")
            os.waitpid(child, 0)
            os.close(told[1])
            os.close(opened_it[0])
        self._look_at_raw()
        self._done("analysts", "analyst")

    @rule(line=st.integers(1, 540), rows=st.lists(A_ROW, min_size=1, max_size=4))
    def kill_an_ingestion(self, line: int, rows: list[dict[str, Any]]) -> None:
        """All of the file or nothing of it was stored; fed again, all of it is."""
        prepared = [self._drawn(drawn) for drawn in rows]
        file = self._write("events", EVENT_COLUMNS, [text for *_, text in prepared])

        def ingest() -> None:
            sys.settrace(Lines(INGESTING, line))
            engine_of(self.shop).ingest_files("events", file)

        before = self._raw()
        ended = how_it_ended(forked(ingest))
        after = deepcopy(self.ledger)
        after.feed_events(file.name, prepared)
        if self._raw() != before:
            assert self._raw() == raw_of(after), "a killed ingestion stored a part"
        elif ended == 0:
            assert before == raw_of(after), "an ingestion that ended stored nothing"
        self._feed_events(prepared, file)
        self._done("kills")

    @precondition(lambda self: self.since["kill"] >= 5)
    @rule(statement=st.integers(1, 150))
    def kill_a_build(self, statement: int) -> None:
        """``dbt run`` dies at a statement; what was fed stands, and a build after it makes all good."""

        def run() -> None:
            die_at(statement)
            build(self.shop, *FEATURES_ONLY)

        how_it_ended(forked(run))
        self.ledger.built = one(self.shop, "select max(as_of_date) from customer_features")
        self._look_at_raw()
        self._done("kills", "kill")

    @precondition(lambda self: self.since["kill"] >= 5)
    @rule(line=st.integers(1, 120), pick=st.integers(0, 9))
    def kill_a_promotion(self, line: int, pick: int) -> None:
        """The champion is the old or the new one, whole."""
        versions = [model.version for model in registry.list_models(self.shop.models)]
        version = versions[pick % len(versions)]
        in_a_fresh_process(promote_until, self.shop.models, version, line)
        model = registry.load(self.shop.models)
        assert model is not None
        found = model.manifest.version
        assert found in (self.pointers[-1], version), f"{found} is champion"
        if found != self.pointers[-1]:
            self.pointers.append(found)
        self._done("kills", "kill")

    @precondition(lambda self: self.since["kill"] >= 5)
    @rule(line=st.integers(1, 200))
    def kill_a_publication(self, line: int) -> None:
        """Readers find the old or the new version, whole."""
        in_a_fresh_process(publish_until, self.shop, line)
        self._look_at_publication()
        self._done("kills", "kill")

    # the end

    def teardown(self) -> None:
        """All that the life led to is what one build of its rows makes."""
        try:
            if sys.exc_info()[0] is None and self.has_twin:
                self._compare_with_twin()
        finally:
            if self.reader:
                self.reader[0].close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _compare_with_twin(self) -> None:
        engine_of(self.shop).build_features()
        self._look_at_features()
        engine_of(self.shop).score()
        self._look_at_marts(self.shop)
        twin = copied(self.shop, self.folder / "twin")
        # the list of what is the product's own stays, without which the views are those of others, and whose
        # shop it is
        tables = query(
            twin,
            "select table_name from duckdb_tables() where schema_name = 'main' "
            "and table_name not in ('own_relations', 'shop_identity')",
        )
        execute(twin, *(f'drop table "{name}" cascade' for (name,) in tables))
        engine_of(twin).build_features()
        engine_of(twin).score()
        shared = "as_of_date in (select as_of_date from as_of_dates where is_grid or is_scoring_date)"
        mine, theirs = all_contents(self.shop, shared), all_contents(twin, shared)
        differing = [name for name in mine if name not in SCORED and mine[name] != theirs.get(name)]
        assert not differing, f"{differing} differ from a twin that was built once"
        assert contents(self.shop, SCORES) == contents(twin, SCORES), "customer_clv differs from its twin's"
        self._done("twins")

    # steps in common

    def _next(self) -> int:
        self.numbers += 1
        return self.numbers

    def _number(self, kind: str) -> str:
        return f"{kind}n{self._next()}"

    def _done(self, what: str, clock: str | None = None) -> None:
        self.counts[what] += 1
        self.counts["steps"] += what != "twins"
        self.since.update(
            (
                "build",
                "run",
                "setting",
                "scored",
                "challenger",
                "erasure",
                "kill",
                "reader",
                "analyst",
                "switch",
            )
        )
        for name in {
            "builds": ("build",),
            "runs": ("build", "run", "scored"),
            "settings changed and back": ("build", "setting"),
            "pins": ("build", "scored"),
        }.get(what, ()):
            self.since[name] = 0
        if clock:
            self.since[clock] = 0
        if self.reader:
            assert published_rows(self.reader[0]) == self.reader[1], "a reader was disturbed"

    def _drawn(self, drawn: dict[str, Any]) -> Fed:
        return drawn_event(self.ledger, self.day, self._number, drawn)

    def _feed_events(self, prepared: list[Fed], file: Path | None = None) -> None:
        self._feed(
            "events",
            EVENT_COLUMNS,
            [text for *_, text in prepared],
            lambda name: self.ledger.feed_events(name, prepared),
            file=file,
        )
        self._done("days fed")

    def _feed_orders(self, orders: list[tuple[Row, tuple]]) -> None:
        self._feed(
            "orders",
            ORDER_COLUMNS,
            [text for _, text in orders],
            lambda name: self.ledger.feed_restated(name, orders),
            Choice(preset="orders", options={"orders": "restated"}),
            is_kept=False,
        )
        self._done("restatements")

    def _write(self, kind: str, columns: tuple[str, ...], texts: list[tuple]) -> Path:
        return write_csv(self.folder / f"{kind}-{self._next()}.csv", columns, texts)

    def _feed(
        self,
        kind: str,
        columns: tuple[str, ...],
        texts: list[tuple],
        expected: Callable[[str], Outcome],
        choice: str | Choice = "",
        file: Path | None = None,
        is_kept: bool = True,
    ) -> None:
        """Feeds a file and compares what became of it with what must."""
        path = file or self._write(kind, columns, texts)

        def feed() -> None:
            known = set(self.ledger.rows)
            (summary,) = engine_of(self.shop).ingest_files(choice or kind, path)
            outcome = expected(path.name)
            found = (summary.rows_in, summary.rows_kept, summary.rows_new, dict(summary.reasons))
            must = (outcome.rows_in, outcome.kept, outcome.new, dict(outcome.reasons))
            assert file is not None or found == must, f"{path.name}: {found} instead of {must}"
            assert summary.rows_in == summary.rows_kept + summary.rows_skipped + summary.rows_quarantined
            built = self.ledger.built
            new = [row for name, row in self.ledger.rows.items() if name not in known]
            if built and any(row.known < datetime.combine(built, datetime.min.time()) for row in new):
                self._forget_snapshots()  # the feed said that it was known by then
            self._look_at_raw()

        feed()
        if is_kept:
            self.files.append(feed)

    def _forget_snapshots(self) -> None:
        """What is learnt about identity and money holds for all dates."""
        self.snapshots = {}

    # looks

    def _raw(self) -> tuple:
        columns = "customer_id, event_type, occurred_at, recorded_at, order_id, product_id, quantity, amount"
        return (
            sorted(map(str, query(self.shop, f"select {columns}, currency from raw.events"))),
            sorted(map(str, query(self.shop, "select * exclude (feed_id) from raw.id_history"))),
            sorted(map(str, query(self.shop, "select * exclude (feed_id) from raw.fx_rates"))),
            one(self.shop, "select count(*) from raw.quarantine"),
        )

    def _look_at_raw(self) -> None:
        for found, must in zip(self._raw(), raw_of(self.ledger), strict=True):
            assert found == must, difference(found, must)

    def _look_at_features(self, under: str = "") -> None:
        """People, purchases and money on every date; past dates as they were."""
        self.ledger.built = self.ledger.scoring_date()
        dates = query(self.shop, "select as_of_date, is_scoring_date from as_of_dates")
        assert [day for day, is_today in dates if is_today] == [self.ledger.built]
        figures = f"select as_of_date, customer_id, {FIGURES} from customer_rfm"
        found: dict[date, dict[str, tuple]] = {}
        for day, customer, *values in query(self.shop, figures):
            found.setdefault(day, {})[customer] = tuple(values)
        for day, _ in dates:
            must = {name: person.figures(day) for name, person in people(self.ledger, day).items()}
            assert found.get(day, {}) == must, f"as of {day}: {difference(found.get(day, {}), must)}"
        rows: dict[date, list[str]] = {}
        text = "(select * exclude (build_hash) from customer_features)"
        for day, row in query(
            self.shop, f"select as_of_date, cast(t as varchar) from {text} as t order by all"
        ):
            rows.setdefault(day, []).append(row)
        before = self.snapshots.get(under, {})
        changed = [day for day in before if day in rows and rows[day] != before[day]]
        assert not changed, f"features as of {changed} changed"
        self.snapshots[under] = rows

    def _look_at_marts(self, settings: Settings) -> None:
        """Everybody has an estimate, of one version; base and drivers add up."""
        rows = query(
            settings,
            "select customer_id, clv_estimate, clv_predicted, clv_model_version, driver_base + driver_rest "
            "+ coalesce(driver_1_contribution, 0) + coalesce(driver_2_contribution, 0) "
            "+ coalesce(driver_3_contribution, 0) from customer_clv",
        )
        assert {row[0] for row in rows} == set(people(self.ledger, self.ledger.scoring_date()))
        assert all(row[1] is not None for row in rows), "somebody has no estimate"
        pinned = settings.vars.model_version
        in_use = self.pointers[-1] if pinned == "champion" else pinned
        assert {row[3] for row in rows} <= {in_use, None}, f"{ {row[3] for row in rows} }, not {in_use}"
        for customer, _, predicted, _, explained in rows:
            assert predicted is None or abs(predicted - explained) <= 1e-6, f"{customer}'s drivers"

    def _look_at_scores(self) -> None:
        self._look_at_marts(self.shop)
        self._look_at_publication()
        with duckdb.connect(self._published(), read_only=True) as reader:
            assert published_rows(reader) == contents(self.shop, "customer_clv")

    def _published(self) -> Path:
        """The database of the publication that is current now."""
        current = publication.published_folder(self.shop) / publication.CURRENT
        return current.resolve() / publication.DATABASE

    def _look_at_publication(self) -> None:
        """One version in the database and beside it."""
        database = self._published()
        with duckdb.connect(database, read_only=True) as reader:
            in_database = reader.execute(f"select version, customers from {publication.RECORD}").fetchall()
            beside = database.with_name(f"{publication.RECORD}.parquet")
            in_parquet = reader.execute(f"select version, customers from '{beside}'").fetchall()
            assert in_database == in_parquet
            customers = reader.execute("select count(*) from customer_clv").fetchall()
            assert customers == [(in_database[0][1],)]


def live(first: First, seed_number: int, steps: int = STEPS) -> Counter[str]:
    """
    One life of that seed, from the shop of ``first``, and what was done in it.

    Raises:
        AssertionError: With the seed, after hypothesis has printed the shortest list of steps that fails.
    """
    machine: type[Life] = type("Life", (Life,), {"first": first, "counts": Counter()})
    how = settings(
        # the first example is always the shortest there is
        max_examples=2,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=False,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(seed(seed_number)(machine), settings=how)
    except BaseException as error:
        error.add_note(f"Again: make sim SEED={seed_number}")
        raise
    return machine.counts

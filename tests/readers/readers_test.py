"""Tests of the readers themselves, on a small lake that is written here: they must accept it, and notice damage.

Run by scripts/test.sh: python -m unittest discover --start-directory tests/readers --pattern '*_test.py'
"""

import datetime
import pathlib
import shutil
import tempfile
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

import check_lake
import evidence_queries
import lake_view

AT = datetime.datetime(2026, 11, 24, 12, 0, 0, tzinfo=datetime.timezone.utc)
ARROW = {
    "text": pa.string(),
    "bool": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "time": pa.timestamp("us", tz="UTC"),
}
DEFAULTS = {"text": "x", "bool": False, "int": 0, "long": 0, "time": datetime.datetime(2026, 3, 2, 9, tzinfo=datetime.timezone.utc)}


def event(number, **values):
    """A Kong row with the required columns filled."""
    time = datetime.datetime(2026, 3, 2, 9, 0, number, tzinfo=datetime.timezone.utc)
    row = {
        "event_id": f"{number:064x}", "source": "kong", "category": "http", "event_time": time, "route": "orders",
        "correlation_id": f"c{number}", "correlation_origin": "client", "decision": "allowed", "denied": False,
        "join_state": "unmatched", "peer_count": 0, "http_status": 200, "http_method": "GET", "principal_id": "ana",
        "findings": "", "directory_version": "d1",
    }
    return row | values


EVENTS = [
    event(1),
    event(2, decision="denied", denied=True, reason_code="AUTH_MISSING", reason_basis="status", denied_by="gateway",
          http_status=401, principal_id=None),
    event(3, findings="UNAUTHENTICATED_SUCCESS", principal_id=None),
    event(4, correlation_id=None, correlation_origin="missing", findings="NO_CORRELATION_ID"),
    event(5, correlation_id="c1", principal_id="bob"),
    event(6, join_state="matched", join_method="request_id", join_confidence="exact", peer_event_id=f"{7:064x}",
          peer_count=1, identity_match="different", findings="IDENTITY_MISMATCH"),
    event(7, source="synapse", category="IntegrationActivityRuns", route=None, correlation_origin="synapse",
          join_state="matched", join_method="request_id", join_confidence="exact", peer_event_id=f"{6:064x}",
          peer_count=1, identity_match="different", findings="IDENTITY_MISMATCH"),
]


def table_of(columns, rows):
    """An Arrow table of a contract table; required columns that a row leaves out are filled."""
    arrays, fields = [], []
    for column in columns:
        fill = DEFAULTS[column["type"]] if column["required"] else None
        if fill == "x" and column.get("values"):
            fill = column["values"][0]
        kind = ARROW[column["type"]]
        arrays.append(pa.array([row.get(column["name"], fill) for row in rows], kind))
        fields.append(pa.field(column["name"], kind, not column["required"]))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def write(path, table, **options):
    """Writes as the lake does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **({"version": "1.0", "compression": "snappy", "data_page_version": "1.0"} | options))


class Readers(unittest.TestCase):
    """A lake with one live day, one sealed generation that does not count yet, and seeds."""

    def setUp(self):
        self.lake = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.lake)
        self.columns = lake_view.contract()
        for name, columns in self.columns.items():
            write(self.lake / name / "gen=000/date=1900-01-01/hour=00/seed.parquet", table_of(columns, []))
        self.hour = self.lake / "events/gen=001/date=2026-03-02/hour=09/00000.parquet"
        write(self.hour, table_of(self.columns["events"], EVENTS))
        write(self.lake / "events/gen=002/date=2026-03-02/hour=09/00000.parquet", table_of(self.columns["events"], EVENTS[:2]))
        self.seal("1900-01-01", "000", "1900-01-01 00:00:00")
        self.seal("2026-03-02", "001", "2026-11-24 11:00:00")
        self.seal("2026-03-02", "002", "2026-11-24 13:00:00")
        self.script = lake_view.read_script()

    def seal(self, date, generation, activate_at):
        path = self.lake / f"seals/date={date}/gen={generation}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"date,gen,activate_at\n{date},{generation},{activate_at}\n", encoding="utf-8")

    def check(self, truth=None, at=AT):
        return check_lake.check(self.lake, truth, self.script, at)

    def answers(self, script=None):
        script = script or self.script
        db = lake_view.connect(self.lake, script, AT)
        first, last = evidence_queries.window_of(db, None, None)
        answers = evidence_queries.run(db, lake_view.queries_of(script), first, last)
        return answers, evidence_queries.disagreements(db, answers, first, last)

    def test_sound_lake_is_accepted_and_counted(self):
        counts, problems = self.check()
        self.assertEqual(problems, [])
        self.assertEqual(counts["rows"], 7)
        self.assertEqual(counts["kong"]["matched_by_method"], {"request_id": 1})

    def test_generation_counts_from_its_activation_on(self):
        counts, _ = self.check(at=AT + datetime.timedelta(hours=2))
        self.assertEqual(counts["rows"], 2)

    def test_truth_that_differs_is_named(self):
        truth = {"rows": 7, "rows_by_reason": {"AUTH_MISSING": 2}, "azure": {"rows": 1, "rows_by_finding": {"CLOCK_AHEAD": 1}}}
        _, problems = self.check(truth)
        self.assertEqual(problems, [
            "rows_by_reason.AUTH_MISSING: 1, should be 2", "azure.rows_by_finding.CLOCK_AHEAD: 0, should be 1"])

    def test_leaked_secret_is_named(self):
        _, problems = self.check({"rows": 7, "canaries": ["orders"]})
        self.assertEqual(len(problems), 2)

    def test_wrong_form_is_named(self):
        good = table_of(self.columns["events"], EVENTS)
        at = good.schema.get_field_index("event_time")
        nanos = good.set_column(at, "event_time", good.column(at).cast(pa.timestamp("us")))
        damages = {
            "compression": (good, {"compression": "zstd"}),
            "version 1": (good, {"data_page_version": "2.0"}),
            "event_time: INT64": (nanos, {}),
            "missing ['reason_code']": (good.drop_columns(["reason_code"]), {}),
            "sorted": (table_of(self.columns["events"], list(reversed(EVENTS))), {}),
            "event_id repeats": (table_of(self.columns["events"], EVENTS[:1] * 2), {}),
            "denied does not follow": (table_of(self.columns["events"], [event(1, denied=True)]), {}),
            "another hour": (table_of(self.columns["events"], [event(1, event_time=AT)]), {}),
            "vocabulary": (table_of(self.columns["events"], [event(1, decision="maybe")]), {}),
        }
        for sign, (table, options) in damages.items():
            write(self.hour, table, **options)
            _, problems = self.check()
            self.assertTrue(any(sign in problem for problem in problems), f"{sign}: {problems}")

    def test_evidence_queries_answer(self):
        answers, problems = self.answers()
        self.assertEqual(problems, [])
        value = lambda number: int(answers[number]["summary"][0]["value"])
        self.assertEqual([value(number) for number in evidence_queries.EXPECTED], [1, 1, 1, 1, 1])
        self.assertEqual(answers["EQ-01"]["list"][0]["reason_code"], "AUTH_MISSING")
        self.assertEqual(answers["EQ-03"]["by_route"][0]["successes_without_principal"], 1)
        self.assertEqual(answers["EQ-04"]["reused"][0]["principals"], 2)
        self.assertEqual(answers["EQ-05"]["summary"][0]["measurable"], "yes")

    def test_renamed_column_breaks_the_queries(self):
        table = table_of(self.columns["events"], EVENTS)
        names = ["reason" if name == "reason_code" else name for name in table.column_names]
        write(self.hour, table.rename_columns(names))
        with self.assertRaises(lake_view.duckdb.Error):
            self.answers()
        with self.assertRaises(lake_view.duckdb.Error):
            self.answers(self.script.replace("SELECT event_time, event_id,", "SELECT event_time, event_ident,"))

    def test_root_without_any_file_is_refused_as_the_pool_does(self):
        shutil.rmtree(self.lake / "rejects")
        with self.assertRaises(lake_view.LakeProblem):
            self.answers()


if __name__ == "__main__":
    unittest.main()

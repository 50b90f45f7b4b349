#!/usr/bin/env python3
"""Checks a local lake with two independent readers, DuckDB and pyarrow.

    check_lake.py LAKE [TRUTH_JSON] [--sql FILE_OR_FOLDER] [--at T]

LAKE is the folder of a local lake, TRUTH_JSON what `corridor generate` says a right reading finds. Checked are the form of
every Parquet file (names, types, UTC microseconds, SNAPPY, pages of version 1), the rules of the rows (order, folders,
lengths, vocabularies, no null in required columns, unique event_id, decision and join columns that fit together), that
both readers count the same, and that the counts are those of the truth. Prints one JSON object with the counts. Exit
code 1 when anything is wrong, with one line for each problem on stderr.
"""

import argparse
import collections
import datetime
import json
import pathlib
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import lake_view
import parquet_form

SIDES = {"kong": lambda source: source == "kong", "azure": lambda source: source != "kong"}


def file_problems(lake, columns_of):
    """Form of every Parquet file, also of superseded generations."""
    problems = []
    for table, columns in columns_of.items():
        for path in sorted((lake / table).rglob("*.parquet")):
            problems += parquet_form.problems_of(path, columns)
    return problems


def texts(values):
    """A list of text literals."""
    return ", ".join(lake_view.quoted(value) for value in values)


def column_rules(column):
    """What must not be true of a column in any row: [(what, condition)]."""
    name = f'"{column["name"]}"'
    rules = []
    if column["required"]:
        rules.append((f"{name} is required but null", f"{name} IS NULL"))
    if column.get("max_length"):
        length = column["max_length"]
        rules.append((f"{name} is longer than {length} bytes", f"strlen({name}) > {length}"))
    if column.get("values") and column["name"] != "findings":
        rules.append((f"{name} is not in its vocabulary", f"{name} NOT IN ({texts(column['values'])})"))
    return rules


def row_problems(db, lake, columns_of):
    """Rules of the rows, each as a query that must find nothing."""
    problems = []

    def expect_none(what, sql):
        count = db.execute(f"SELECT COUNT(*) FROM ({sql})").fetchone()[0]
        if count:
            problems.append(f"{what}: {count} rows")

    for table, columns in columns_of.items():
        rules = [rule for column in columns for rule in column_rules(column)]
        counts = ", ".join(f"COUNT(*) FILTER ({condition})" for _, condition in rules)
        found = db.execute(f"SELECT {counts} FROM audit.{table}").fetchone()
        problems += [f"{table}.{what}: {count} rows" for (what, _), count in zip(rules, found) if count]
    codes = next(column["values"] for column in columns_of["events"] if column["name"] == "findings")
    expect_none("events.findings is not in its vocabulary", f"""SELECT 1 FROM (
                SELECT unnest(string_split(findings, ',')) AS code FROM audit.events)
                WHERE code <> '' AND code NOT IN ({texts(codes)})""")
    for what, condition in [
        ("denied does not follow decision", "denied <> (decision = 'denied')"),
        ("a denial without reason, basis or author",
         "decision = 'denied' AND (reason_code IS NULL OR reason_basis IS NULL OR denied_by IS NULL)"),
        ("an allowed row with a reason", "decision = 'allowed' AND (reason_code IS NOT NULL OR denied_by IS NOT NULL)"),
        ("a match without peer, method, confidence or comparison",
         "join_state = 'matched' AND (peer_event_id IS NULL OR join_method IS NULL OR join_confidence IS NULL "
         "OR identity_match IS NULL OR peer_count < 1)"),
        ("a peer without a match", "join_state <> 'matched' AND (peer_event_id IS NOT NULL OR join_method IS NOT NULL)"),
        ("a row in the folder of another hour", "strftime(event_time, '%Y-%m-%d%H') <> \"date\" || \"hour\""),
        ("findings not sorted", "findings <> array_to_string(list_sort(string_split(findings, ',')), ',')"),
    ]:
        expect_none(f"events: {what}", f"SELECT 1 FROM audit.events WHERE {condition}")
    expect_none("events: event_id repeats", "SELECT event_id FROM audit.events GROUP BY event_id HAVING COUNT(*) > 1")
    expect_none("events: the peer is no row", """SELECT 1 FROM audit.events AS a WHERE a.peer_event_id IS NOT NULL
                AND strftime(a.peer_time, '%Y-%m-%d') IN (SELECT "date" FROM audit.events)
                AND a.peer_event_id NOT IN (SELECT event_id FROM audit.events)""")
    expect_none("events: the peer is on the same side", """SELECT 1 FROM audit.events AS a JOIN audit.events AS b
                ON b.event_id = a.peer_event_id WHERE (a.source = 'kong') = (b.source = 'kong')""")
    if db.execute("SELECT COUNT(*) FROM audit.records").fetchone()[0]:
        expect_none("records and events do not pair", """SELECT 1 FROM audit.events AS e FULL JOIN audit.records AS r
                    ON r.event_id = e.event_id WHERE e.event_id IS NULL OR r.event_id IS NULL""")
    for table in ("events", "records"):
        for path in sorted((lake / table).rglob("*.parquet")):
            if not is_sorted(read_file(path, ["event_time"]).column(0)):
                problems.append(f"{path}: not sorted by event_time")
    return problems


def read_file(path, columns=None):
    """One file as it is, without columns made from its folders."""
    with pq.ParquetFile(path) as file:
        return file.read(columns=columns)


def is_sorted(times):
    """Whether moments never go back."""
    steps = pc.pairwise_diff(times.combine_chunks().cast(pa.int64()))
    return (pc.min(steps).as_py() or 0) >= 0


def counts_by_duckdb(db):
    """Counts by the views."""
    rows = db.execute("""
        SELECT source, decision, reason_code, join_method, static_credential, findings,
               strftime(event_time, '%Y-%m-%dT%H') AS hour, COUNT(*)
        FROM audit.events GROUP BY ALL""").fetchall()
    counts = Counts()
    for *row, number in rows:
        counts.add(*row, number)
    for side, number in db.execute("SELECT side, COUNT(*) FROM audit.rejects GROUP BY side").fetchall():
        counts.sides[side]["rejects"] = number
    return counts.as_dict()


def counts_by_pyarrow(lake, at):
    """The same counts without DuckDB and without the views: seals, folders and files read by hand."""
    current = {}
    for seal in lake.glob("seals/**/*.csv"):
        for line in seal.read_text(encoding="utf-8").splitlines()[1:]:
            date, generation, activate_at = line.split(",")
            if activate_at <= at.strftime("%Y-%m-%d %H:%M:%S"):
                current[date] = max(generation, current.get(date, "000"))

    def tables(name, columns):
        for path in sorted(lake.glob(f"{name}/gen=*/date=*/hour=*/*.parquet")):
            generation, date = (step.split("=")[1] for step in path.relative_to(lake).parts[1:3])
            if generation == current.get(date, "000"):
                yield read_file(path, columns)

    counts = Counts()
    columns = ["source", "decision", "reason_code", "join_method", "static_credential", "findings", "event_time"]
    for table in tables("events", columns):
        for *row, time in zip(*(table.column(column).to_pylist() for column in columns)):
            counts.add(*row, time.strftime("%Y-%m-%dT%H"), 1)
    for table in tables("rejects", ["side"]):
        for side in table.column("side").to_pylist():
            counts.sides[side]["rejects"] += 1
    return counts.as_dict()


class Counts:
    """Counts under the names of truth.json."""

    def __init__(self):
        counter = collections.Counter
        self.whole = {"rows": 0, "rows_by_decision": counter(), "rows_by_reason": counter(), "rows_by_hour": {}}
        self.sides = {
            side: {
                "rows": 0, "rejects": 0, "matched": 0, "static_credential": 0, "rows_by_decision": counter(),
                "rows_by_reason": counter(), "matched_by_method": counter(), "rows_by_finding": counter(),
            }
            for side in SIDES
        }

    def add(self, source, decision, reason, method, is_static, findings, hour, number):
        """Counts rows that are alike."""
        name = next(side for side, holds in SIDES.items() if holds(source))
        side = self.sides[name]
        for counts in (self.whole, side):
            counts["rows"] += number
            counts["rows_by_decision"][decision] += number
            if reason:
                counts["rows_by_reason"][reason] += number
        self.whole["rows_by_hour"].setdefault(hour, {"kong": 0, "azure": 0})[name] += number
        side["static_credential"] += number if is_static else 0
        if method:
            side["matched"] += number
            side["matched_by_method"][method] += number
        for finding in filter(None, (findings or "").split(",")):
            side["rows_by_finding"][finding] += number

    def as_dict(self):
        """Plain, comparable form."""
        return json.loads(json.dumps(self.whole | self.sides, sort_keys=True))


def differences(name, wanted, found, only_named=False):
    """Where two nested counts differ. With only_named, what `wanted` does not name is free."""
    if not isinstance(wanted, dict):
        return [] if wanted == found else [f"{name}: {found}, should be {wanted}"]
    found = found if isinstance(found, dict) else {}
    keys = wanted.keys() if only_named else wanted.keys() | found.keys()
    lines = []
    for key in sorted(keys):
        default = {} if isinstance(wanted.get(key, found.get(key)), dict) else 0
        lines += differences(f"{name}.{key}", wanted.get(key, default), found.get(key, default))
    return lines


def truth_problems(truth, counts):
    """Where the counts are not those of the truth. The truth names only some findings."""
    problems = []
    for name, wanted in truth.items():
        if name in SIDES:
            for key, value in wanted.items():
                if key in counts[name]:
                    problems += differences(f"{name}.{key}", value, counts[name][key], key == "rows_by_finding")
        elif name in counts:
            problems += differences(name, wanted, counts[name])
    if "rows" not in truth:
        problems.append("the truth names no rows")
    return problems


def leaked_canaries(lake, canaries):
    """Planted secrets that stand in any file of the lake, compressed or not."""
    problems = []
    for path in sorted(path for path in lake.rglob("*") if path.is_file()):
        texts = [path.read_bytes()]
        if path.suffix == ".parquet":
            table = read_file(path)
            for column, kind in zip(table.columns, table.schema.types):
                if "string" in str(kind):
                    texts.append("\0".join(value or "" for value in column.unique().to_pylist()).encode())
        for canary in canaries:
            if any(canary.encode() in text for text in texts):
                problems.append(f"{path}: holds the planted secret {canary!r}")
    return problems


def check(lake, truth, script, at):
    """All counts and all problems."""
    columns_of = lake_view.contract()
    problems = file_problems(lake, columns_of)
    if problems:
        return {}, problems
    db = lake_view.connect(lake, script, at)
    problems = row_problems(db, lake, columns_of)
    counts = counts_by_duckdb(db)
    problems += differences("DuckDB against pyarrow: ", counts_by_pyarrow(lake, at), counts)
    if truth is not None:
        problems += truth_problems(truth, counts)
        problems += leaked_canaries(lake, truth.get("canaries", []))
    return counts, problems


def main():
    """Command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("lake", type=pathlib.Path)
    arguments.add_argument("truth", type=pathlib.Path, nargs="?")
    arguments.add_argument("--sql", default=lake_view.SQL_FOLDER)
    arguments.add_argument("--at", type=datetime.datetime.fromisoformat)
    options = arguments.parse_args()
    at = options.at or datetime.datetime.now(datetime.timezone.utc)
    truth = json.loads(options.truth.read_text(encoding="utf-8")) if options.truth else None
    try:
        counts, problems = check(options.lake, truth, lake_view.read_script(options.sql), at)
    except (lake_view.LakeProblem, lake_view.duckdb.Error) as error:
        sys.exit(f"check lake: {error}")
    print(json.dumps(counts, sort_keys=True))
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()

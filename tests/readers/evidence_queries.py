#!/usr/bin/env python3
"""Runs the evidence queries of the rendered T-SQL on a lake, by way of sqlglot and DuckDB.

    evidence_queries.py LAKE [--sql FILE_OR_FOLDER] [--from T --to T] [--at T] [--full]

LAKE is the folder of a local lake. --sql is the output of `corridor sql` (default: deploy/synapse). The window is
half-open, in UTC; by default it is everything. --at is the moment the views are asked for (default: now). Prints one
JSON object: {"EQ-01": {"summary": {"rows": n, "first": [..]}, ..}, ..}; with --full all rows under "all".
Exit code 1 when a query fails, or when answers that must agree do not.
"""

import argparse
import datetime
import json
import re
import sys

import sqlglot

import lake_view

EXPECTED = ["EQ-01", "EQ-02", "EQ-03", "EQ-04", "EQ-05"]


def window_of(db, first, last):
    """The half-open window as two texts; whatever is not given covers all rows."""
    low, high = db.execute("SELECT MIN(event_time), MAX(event_time) FROM audit.events").fetchone()
    low = low or datetime.datetime(2000, 1, 1)
    high = high or low
    first = first or low.isoformat(timespec="microseconds")
    last = last or (high + datetime.timedelta(microseconds=1)).isoformat(timespec="microseconds")
    return first, last


def to_duckdb(sql, first, last):
    """One statement of T-SQL in DuckDB's dialect, with the variables filled in."""
    values = {
        "from": f"CAST('{first}' AS datetime2(6))",
        "to": f"CAST('{last}' AS datetime2(6))",
        "from_date": f"N'{first[:10]}'",
        "to_date": f"N'{last[:10]}'",
    }
    filled = re.sub(r"@(\w+)", lambda match: values[match[1]], sql)
    statements = sqlglot.transpile(filled, read="tsql", write="duckdb", error_level=sqlglot.ErrorLevel.RAISE)
    if len(statements) != 1:
        raise lake_view.LakeProblem(f"not one statement: {sql}")
    return statements[0]


def run(db, queries, first, last):
    """All result sets: {id: {name: [row as dict]}}."""
    answers = {}
    for number, results in queries.items():
        answers[number] = {}
        for name, sql in results.items():
            cursor = db.execute(to_duckdb(sql, first, last))
            columns = [column[0] for column in cursor.description]
            answers[number][name] = [dict(zip(columns, row)) for row in cursor.fetchall()]
    return answers


def total(rows, column):
    """Sum of a column over rows."""
    return sum(int(row[column] or 0) for row in rows)


def disagreements(db, answers, first, last):
    """Answers that must agree but do not."""
    summary = {number: answers[number]["summary"][0] for number in answers}
    window = f"event_time >= TIMESTAMP '{first}' AND event_time < TIMESTAMP '{last}'"
    count = lambda condition: db.execute(f"SELECT COUNT(*) FROM audit.events WHERE {window} AND {condition}").fetchone()[0]
    checks = [
        ("EQ-01 value, list", int(summary["EQ-01"]["value"]), len(answers["EQ-01"]["list"])),
        ("EQ-01 value, rows with denied set", int(summary["EQ-01"]["value"]), count("denied")),
        ("EQ-01 and EQ-02 value", int(summary["EQ-01"]["value"]), int(summary["EQ-02"]["value"])),
        ("EQ-02 value, groups", int(summary["EQ-02"]["value"]), total(answers["EQ-02"]["groups"], "denials")),
        ("EQ-01 denominator, rows", int(summary["EQ-01"]["denominator"]), count("true")),
        ("EQ-01 denials without basis, none", int(summary["EQ-01"]["denied_without_basis"]), 0),
        ("EQ-03 list, by_route", len(answers["EQ-03"]["list"]), total(answers["EQ-03"]["by_route"], "flagged")),
        ("EQ-03 value, list", int(summary["EQ-03"]["value"]), len(answers["EQ-03"]["list"])),
        ("EQ-04 value, by_day", int(summary["EQ-04"]["value"]), total(answers["EQ-04"]["by_day"], "missing")),
        ("EQ-04 value, flagged", int(summary["EQ-04"]["value"]), total(answers["EQ-04"]["by_day"], "flagged_as_missing")),
        ("EQ-04 reuse, flagged rows", total(answers["EQ-04"]["reused"], "flagged"),
         count("source = 'kong' AND contains(findings, 'CORRELATION_REUSED')")),
        ("EQ-05 value, list", int(summary["EQ-05"]["value"]), len(answers["EQ-05"]["list"])),
        ("EQ-05 matched, sum of the three", total(answers["EQ-05"]["by_day"], "matched"),
         sum(total(answers["EQ-05"]["by_day"], column) for column in ("equal", "different", "unknown"))),
        ("EQ-05 matched, rows", total(answers["EQ-05"]["by_day"], "matched"),
         count("source = 'kong' AND join_state = 'matched'")),
    ]
    return [f"{name}: {left} and {right}" for name, left, right in checks if left != right]


def main():
    """Command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("lake")
    arguments.add_argument("--sql", default=lake_view.SQL_FOLDER)
    arguments.add_argument("--from", dest="first")
    arguments.add_argument("--to", dest="last")
    arguments.add_argument("--at", type=datetime.datetime.fromisoformat)
    arguments.add_argument("--full", action="store_true")
    options = arguments.parse_args()
    try:
        script = lake_view.read_script(options.sql)
        db = lake_view.connect(options.lake, script, options.at)
        queries = lake_view.queries_of(script)
        if list(queries) != EXPECTED:
            raise lake_view.LakeProblem(f"the script has the queries {list(queries)}")
        first, last = window_of(db, options.first, options.last)
        answers = run(db, queries, first, last)
        problems = disagreements(db, answers, first, last)
    except (lake_view.LakeProblem, lake_view.duckdb.Error, sqlglot.errors.SqlglotError) as error:
        sys.exit(f"evidence queries: {error}")
    kept = {
        number: {
            name: {"rows": len(rows), "first": rows[:3]} | ({"all": rows} if options.full else {})
            for name, rows in results.items()
        }
        for number, results in answers.items()
    }
    print(json.dumps(kept, indent=1, default=str))
    if problems:
        sys.exit("answers disagree:\n" + "\n".join(problems))


if __name__ == "__main__":
    main()

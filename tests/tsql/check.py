#!/usr/bin/env python3
"""Checks T-SQL for a Synapse serverless SQL pool with real parsers, batch by batch.

    check.py FILE...      every batch of the files must be accepted
    check.py --self-test  the checker itself: broken batches must be refused, good ones accepted

No single parser knows the dialect of a serverless pool, so three are combined. Each batch must satisfy both rules:
  1. sqlfluff's tsql grammar parses it. One statement is excepted, because the grammar lacks it:
     GRANT ... ON DATABASE SCOPED CREDENTIAL::name TO name.
  2. With OPENROWSET, Microsoft's SqlParser accepts it, less the column paths, which it does not know; a path must name
     its column. Without OPENROWSET, SqlParser or Microsoft's ScriptDom accepts it.
Meaning (types, the range of filepath(n), names of collations) cannot be checked without a pool.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

from sqlfluff.core import FluffConfig, Linter

TOOLS = pathlib.Path(__file__).resolve().parents[2] / ".tools" / "tsql"
EXCEPTED = re.compile(
    r"^\s*GRANT\s+REFERENCES\s+ON\s+DATABASE\s+SCOPED\s+CREDENTIAL::\w+\s+TO\s+\w+\s*;?\s*$", re.IGNORECASE | re.MULTILINE
)
# SqlParser knows only ordinals behind a column of WITH, not the documented JSON paths. It gets a copy without them;
# their form is checked here instead, and sqlfluff sees them.
COLUMN_PATH = re.compile(
    r"(?P<column>\w+)(?P<type> +\w+(?:\([\w, ]*\))?(?: +COLLATE +\w+)?) +'(?P<path>(?:strict |lax )?\$[^']*)'"
)
PATH_FORM = re.compile(r"(?:strict |lax )?\$\.(\w+)")
GO = re.compile(r"^\s*GO\s*$", re.IGNORECASE)

GOOD = """\
IF SCHEMA_ID(N'audit') IS NULL EXEC (N'CREATE SCHEMA audit');
GO
CREATE DATABASE SCOPED CREDENTIAL c WITH IDENTITY = 'Managed Identity';
GO
CREATE OR ALTER VIEW audit.v AS
SELECT e.filepath(1) AS [date], e.id
FROM OPENROWSET(BULK 'a/date=*/*.parquet', DATA_SOURCE = 'ds_lake', FORMAT = 'PARQUET')
     WITH (id varchar(64) COLLATE Latin1_General_100_BIN2_UTF8 'strict $.id') AS e;
GO
GRANT REFERENCES ON DATABASE SCOPED CREDENTIAL::c TO r;
GO
"""

BROKEN = {
    "misspelt keyword": "CREATE OR ALTER VEIW audit.v AS SELECT 1 AS a;",
    "unclosed WITH list": (
        "CREATE OR ALTER VIEW audit.v AS SELECT e.id FROM OPENROWSET(BULK 'a/*.parquet', DATA_SOURCE = 'd',"
        " FORMAT = 'PARQUET') WITH (id varchar(64) 'strict $.id' AS e;"
    ),
    "misspelt OPENROWSET option": (
        "CREATE OR ALTER VIEW audit.v AS SELECT e.id FROM OPENROWSET(BULK 'a/*.parquet', DATA_SOURCE = 'd',"
        " FROMAT = 'PARQUET') WITH (id varchar(64) 'strict $.id') AS e;"
    ),
    "path of another column": (
        "CREATE OR ALTER VIEW audit.v AS SELECT e.id FROM OPENROWSET(BULK 'a/*.parquet', DATA_SOURCE = 'd',"
        " FORMAT = 'PARQUET') WITH (id varchar(64) 'strict $.ident') AS e;"
    ),
    "unclosed text": "IF SCHEMA_ID(N'audit) IS NULL EXEC (N'CREATE SCHEMA audit');",
    "comma too many in a view": (
        "CREATE OR ALTER VIEW audit.v AS SELECT e.id, FROM OPENROWSET(BULK 'a/*.parquet', DATA_SOURCE = 'd',"
        " FORMAT = 'PARQUET') WITH (id varchar(64) 'strict $.id') AS e;"
    ),
    "misspelt data source DDL": "CREATE EXTERNAL DATA SUORCE d WITH (LOCATION = 'https://a/b', CREDENTIAL = c);",
    "missing condition": "SELECT [date] FROM audit.events WHERE ORDER BY [date];",
}


def batches_of(text):
    """Yields (first line number, text) of each non-empty batch."""
    lines, start = [], 1
    for number, line in enumerate(text.splitlines(), 1):
        if GO.match(line):
            if "".join(lines).strip():
                yield start, "\n".join(lines)
            lines, start = [], number + 1
        else:
            lines.append(line)
    if "".join(lines).strip():
        yield start, "\n".join(lines)


def microsoft_errors(program, files):
    """Runs one of the Microsoft parsers over all files. Returns {file: [(line, message)]}."""
    done = subprocess.run(["mono", str(TOOLS / program), *files], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} did not run: {done.stderr.strip()}\nRun scripts/setup-tests.sh first.")
    errors = {}
    for row in done.stdout.splitlines():
        file, line, message = row.split("\t", 2)
        errors.setdefault(file, []).append((int(line), message))
    return errors


def sqlfluff_errors(linter, batch):
    """What sqlfluff cannot parse, as [(line, message)]."""
    checked = EXCEPTED.sub("", batch)
    if not checked.strip():
        return []
    parsed = linter.parse_string(checked)
    return [(violation.line_no, violation.desc()) for violation in parsed.violations]


def path_errors(batch):
    """Column paths that do not name their column, as [(line, message)]."""
    errors = []
    for match in COLUMN_PATH.finditer(batch):
        form = PATH_FORM.fullmatch(match["path"])
        if not form or form[1] != match["column"]:
            errors.append((batch.count("\n", 0, match.start()) + 1, f"{match['column']} is read from {match['path']!r}"))
    return errors


def check(sources):
    """Takes [(name, text)]. Returns (number of batches, [problem])."""
    linter = Linter(config=FluffConfig(overrides={"dialect": "tsql", "large_file_skip_byte_limit": 0}))
    batches = [(name, start, text) for name, source in sources for start, text in batches_of(source)]
    problems = []
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for index, (_, _, text) in enumerate(batches):
            file = pathlib.Path(folder) / f"{index:04}.sql"
            file.write_text(COLUMN_PATH.sub(r"\g<column>\g<type>", text) + "\n", encoding="utf-8")
            files.append(str(file))
        by_sql_parser = microsoft_errors("sp.exe", files)
        by_script_dom = microsoft_errors("sd.exe", files)
        for file, (name, start, text) in zip(files, batches):
            def report(parser, errors):
                line, message = errors[0]
                problems.append(f"{name}:{start + line - 1}: {parser}: {message}")

            if errors := path_errors(text):
                report("column path", errors)
            if errors := sqlfluff_errors(linter, text):
                report("sqlfluff", errors)
            first, second = by_sql_parser.get(file), by_script_dom.get(file)
            if "OPENROWSET" in text.upper():
                if first:
                    report("SqlParser", first)
            elif first and second:
                report("SqlParser", first)
                report("ScriptDom", second)
    return len(batches), problems


def self_test():
    """The checker must accept the good batches and refuse each broken one."""
    failures = [f"good batch refused: {problem}" for problem in check([("good", GOOD)])[1]]
    refused = {problem.split(":", 1)[0] for problem in check(list(BROKEN.items()))[1]}
    failures += [f"broken batch accepted: {name}" for name in BROKEN if name not in refused]
    return failures


def main():
    """Command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("files", nargs="*", metavar="FILE")
    arguments.add_argument("--self-test", action="store_true")
    options = arguments.parse_args()
    if options.self_test:
        failures = self_test()
        print("\n".join(failures) or f"self-test: good batches accepted, {len(BROKEN)} broken ones refused")
        sys.exit(1 if failures else 0)
    if not options.files:
        arguments.error("give at least one file, or --self-test")
    count, problems = check([(file, pathlib.Path(file).read_text(encoding="utf-8")) for file in options.files])
    print("\n".join(problems) or f"{count} batches accepted")
    sys.exit(1 if problems or count == 0 else 0)


if __name__ == "__main__":
    main()

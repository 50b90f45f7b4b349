"""The lake as an auditor's views show it, in DuckDB.

The views are made from the T-SQL itself: folder pattern, columns and their types are read out of the rendered script.
So whatever the script names must be in the Parquet files, by exactly that name.
"""

import dataclasses
import datetime
import pathlib
import re
import tomllib

import duckdb

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SQL_FOLDER = REPOSITORY / "deploy" / "synapse"
CONTRACT = REPOSITORY / "schemas" / "evidence.toml"
SEED_DAY = "1900-01-01"

VIEW = re.compile(
    r"CREATE OR ALTER VIEW audit\.(?P<name>\w+) AS\s.*?BULK '(?P<glob>[^']+\.parquet)'.*?WITH \(\n(?P<columns>.*?)\n\s*\) AS e",
    re.DOTALL,
)
COLUMN = re.compile(r"^\s*(?P<name>\w+) (?P<type>\w+(?:\(\w+\))?)(?: COLLATE \w+)? '(?P<strict>strict )?\$\.(?P<path>\w+)',?$")
QUERY = re.compile(r"/\* (?P<id>EQ-\d\d) .*?\*/\n(?P<body>.*?)\nGO\n", re.DOTALL)
RESULT = re.compile(r"^-- (?P<id>EQ-\d\d) (?P<name>\w+)\n(?P<sql>.*?);$", re.DOTALL | re.MULTILINE)


class LakeProblem(Exception):
    """The lake is not what its contract says."""


@dataclasses.dataclass(frozen=True)
class ViewColumn:
    """One column of a WITH list."""

    name: str
    sql_type: str
    required: bool


@dataclasses.dataclass(frozen=True)
class View:
    """One view over Parquet files."""

    name: str
    glob: str
    columns: tuple


def read_script(path=SQL_FOLDER):
    """The rendered T-SQL: one file, or all files of a folder in order."""
    path = pathlib.Path(path)
    files = sorted(path.glob("*.sql")) if path.is_dir() else [path]
    if not files:
        raise LakeProblem(f"{path} holds no *.sql")
    return "".join(file.read_text(encoding="utf-8") for file in files)


def views_of(script):
    """The Parquet views of the script."""
    views = []
    for match in filter(None, map(VIEW.search, script.split("\nGO\n"))):
        columns = []
        for line in match["columns"].splitlines():
            column = COLUMN.match(line)
            if not column or column["name"] != column["path"]:
                raise LakeProblem(f"view {match['name']}: cannot read the column {line.strip()!r}")
            columns.append(ViewColumn(column["name"], column["type"], bool(column["strict"])))
        views.append(View(match["name"], match["glob"], tuple(columns)))
    if {view.name for view in views} != {"events", "records", "rejects"}:
        raise LakeProblem(f"the script has the views {[view.name for view in views]}")
    return views


def queries_of(script):
    """The evidence queries of the script: {id: {result set: T-SQL}}."""
    queries = {}
    for match in QUERY.finditer(script):
        queries[match["id"]] = {result["name"]: result["sql"] for result in RESULT.finditer(match["body"])}
    return queries


def contract():
    """The columns of schemas/evidence.toml: {table: [column]}."""
    parsed = tomllib.loads(CONTRACT.read_text(encoding="utf-8"))
    return {"events": parsed["column"], "records": parsed["records"]["column"], "rejects": parsed["rejects"]["column"]}


def quoted(text):
    """A text literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def connect(lake, script, at=None):
    """Opens the lake as the views of the script show it at a moment (now, unless given)."""
    lake = pathlib.Path(lake)
    if not lake.is_dir():
        raise LakeProblem(f"{lake} is no folder")
    at = at or datetime.datetime.now(datetime.timezone.utc)
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    db.execute("CREATE SCHEMA audit")
    create_generation_view(db, lake, at.strftime("%Y-%m-%d %H:%M:%S"))
    for view in views_of(script):
        create_table_view(db, lake, view)
    return db


def create_generation_view(db, lake, at):
    """audit.generation. The pool binds CSV columns by position, so the header is checked here."""
    files = sorted(lake.glob("seals/**/*.csv"))
    if not files:
        raise LakeProblem("seals/ holds no file: the pool cannot list it and every view fails")
    for file in files:
        header = file.read_text(encoding="utf-8").split("\n", 1)[0]
        if header != "date,gen,activate_at":
            raise LakeProblem(f"{file}: header {header!r}")
    db.execute(f"""
        CREATE VIEW audit.generation AS
        SELECT "date", MAX(gen) AS gen
        FROM read_csv({quoted(lake / 'seals/**/*.csv')}, header = true, delim = ',', hive_partitioning = false,
                      columns = {{'date': 'VARCHAR', 'gen': 'VARCHAR', 'activate_at': 'TIMESTAMP'}})
        WHERE activate_at <= TIMESTAMP {quoted(at)}
        GROUP BY "date" """)


def create_table_view(db, lake, view):
    """One view over Parquet, with folders as columns and only the current generation."""
    if not any(lake.glob(view.glob)):
        raise LakeProblem(f"{view.glob} matches no file: the pool cannot list it and the view fails")
    folders = re.escape(view.glob).replace(r"\*", "([^/]*)")
    folder = lambda n: f"regexp_extract(filename, {quoted(folders + '$')}, {n})"
    shown = ", ".join(shown_column(column) for column in view.columns)
    db.execute(f"""
        CREATE VIEW audit.{view.name} AS
        SELECT e."date", e."hour", {shown}
        FROM (SELECT *, {folder(1)} AS gen, {folder(2)} AS "date", {folder(3)} AS "hour"
              FROM read_parquet({quoted(lake / view.glob)}, filename = true, hive_partitioning = false)) AS e
        LEFT JOIN audit.generation AS g ON g."date" = e."date"
        WHERE e.gen = COALESCE(g.gen, '000')""")


def shown_column(column):
    """A column as the pool gives it: UTC times come as datetime2, which knows no zone."""
    if column.sql_type.startswith("datetime2"):
        return f'make_timestamp(epoch_us(e."{column.name}")) AS "{column.name}"'
    return f'e."{column.name}"'

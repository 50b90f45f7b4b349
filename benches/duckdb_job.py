"""The benchmark's peer: DuckDB doing the same job on the same files, in a process of its own.

In:         Kong NDJSON, Azure NDJSON envelopes and workspaces.csv, as `corridor generate` writes them
Out:        date=/hour= SNAPPY Parquet sorted by event time; one JSON object on stdout (rows, matched, denied, phases)
Keeps:      the job: parse, remove duplicates, event-preserving join on the four rungs, denied flag, 84 columns
Left out:   redaction, record hashes, rejects with reasons, directory names and roles, most findings, `extra`
Invariants: the defaults are the fastest formulation found; the other choices stay, so that the comparison can be repeated
            (README.md, What was tried)
"""

import argparse
import json
import pathlib
import queue
import shutil
import threading
import time

import duckdb

HERE = pathlib.Path(__file__).resolve().parent

# The columns a reader of the evidence sees; the rest of `events` only serves the join.
EVIDENCE = """
SELECT e.* EXCLUDE (native_part, link),
    tenant_id || '/' || object_id AS principal_id, decision = 'denied' AS denied,
    CASE WHEN decision <> 'denied' THEN NULL WHEN source = 'kong' AND response_source <> 'upstream' THEN 'gateway'
         WHEN source = 'kong' THEN 'upstream' ELSE 'synapse' END AS denied_by,
    CASE WHEN correlation_id IS NULL THEN 'missing' WHEN source = 'kong' THEN 'gateway' WHEN link IS NULL THEN 'synapse'
         ELSE 'client' END AS correlation_origin,
    CASE WHEN p.id IS NOT NULL THEN 'matched' WHEN category = 'stream' THEN 'not_eligible'
         WHEN source = 'synapse' AND link IS NULL AND activity_run_id IS NULL THEN 'not_eligible' ELSE 'unmatched' END AS join_state,
    p.* EXCLUDE (id, peer_of_time),
    concat_ws(',', CASE WHEN source = 'kong' AND correlation_id IS NULL THEN 'NO_CORRELATION_ID' END,
        CASE WHEN identity_match = 'different' THEN 'IDENTITY_MISMATCH' END) AS findings
FROM {events} AS e LEFT JOIN {peers} AS p ON e.{rowid} = p.id
"""


def sql_list(folder):
    """The files of a folder as a SQL list, in name order."""
    files = sorted(str(path) for path in pathlib.Path(folder).rglob("*") if path.is_file())
    return "[" + ", ".join("'" + name.replace("'", "''") + "'" for name in files) + "]"


def select(name, files):
    """One side's SELECT with its files filled in."""
    return (HERE / "sql" / f"{name}.sql").read_text().replace("{{" + name + "}}", files)


def load(connection, options):
    """Both sides into one wide table, with the id that duplicates share."""
    connection.execute(f"CREATE TABLE workspaces AS FROM read_csv('{options.data}/directory/workspaces.csv', all_varchar = true)")
    sides = [select("kong", sql_list(f"{options.data}/kong")), select("azure", sql_list(f"{options.data}/synapse"))]
    union = " UNION ALL BY NAME ".join(f"({side})" for side in sides)
    event_id = "coalesce(CASE WHEN source = 'kong' THEN native_id END, md5(concat_ws('|', category, native_id, native_part)))"
    identified = f"SELECT * EXCLUDE (native_id), {event_id} AS event_id FROM ({union})"
    if options.dedup == "distinct_on":
        identified = f"SELECT DISTINCT ON (event_id) * FROM ({identified})"
    elif options.dedup == "qualify":
        identified = f"SELECT * FROM ({identified}) QUALIFY row_number() OVER (PARTITION BY event_id) = 1"
    connection.execute(f"CREATE TABLE events AS {identified}")


def remove_duplicates(connection):
    """Every copy but the first, by row id."""
    copies = "SELECT unnest(list(rowid ORDER BY rowid)[2:]) FROM events GROUP BY event_id HAVING count(*) > 1"
    connection.execute(f"DELETE FROM events WHERE rowid IN ({copies})")


def write_hours(connection, out, threads):
    """One sorted file per hour; `threads` hours at a time, each on a connection of its own."""
    buckets = "SELECT DISTINCT time_bucket(INTERVAL 1 HOUR, event_time) AS hour FROM events ORDER BY hour"
    hours = queue.SimpleQueue()
    for (hour,) in connection.execute(buckets).fetchall():
        hours.put(hour)
    failures = []

    def work(cursor):
        try:
            while True:
                write_hour(cursor, hours.get_nowait())
        except queue.Empty:
            pass
        except duckdb.Error as problem:
            failures.append(problem)

    def write_hour(cursor, hour):
        folder = out / f"date={hour:%Y-%m-%d}" / f"hour={hour:%H}"
        folder.mkdir(parents=True)
        bounds = f">= TIMESTAMP '{hour}' AND {{}} < TIMESTAMP '{hour}' + INTERVAL 1 HOUR"
        rows = EVIDENCE.format(
            events=f"(SELECT *, rowid AS row_number FROM events WHERE event_time {bounds.format('event_time')})",
            peers=f"(SELECT * FROM peers WHERE peer_of_time {bounds.format('peer_of_time')})",
            rowid="row_number",
        )
        cursor.execute(
            f"COPY (SELECT * EXCLUDE (row_number) FROM ({rows}) ORDER BY event_time) "
            f"TO '{folder}/events.parquet' (FORMAT parquet, COMPRESSION snappy)"
        )

    workers = [threading.Thread(target=work, args=(connection.cursor(),)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]


def write_partitions(connection, out):
    """The same files by PARTITION_BY."""
    rows = EVIDENCE.format(events="events", peers="peers", rowid="rowid")
    connection.execute(
        f"COPY (SELECT *, strftime(event_time, '%Y-%m-%d') AS date, strftime(event_time, '%H') AS hour "
        f"FROM ({rows}) ORDER BY event_time) "
        f"TO '{out}' (FORMAT parquet, COMPRESSION snappy, PARTITION_BY (date, hour))"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder that `corridor generate` wrote")
    parser.add_argument("--out", required=True, help="folder for the Parquet files; replaced")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-limit", default="12GB")
    parser.add_argument("--dedup", choices=["rowid", "distinct_on", "qualify"], default="rowid")
    parser.add_argument("--write", choices=["hours", "hours_one_by_one", "partition_by"], default="hours")
    parser.add_argument("--preserve-order", action="store_true")
    parser.add_argument("--database", help="a database file (compressed) in place of memory")
    options = parser.parse_args()

    out = pathlib.Path(options.out)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    connection = duckdb.connect(options.database or ":memory:")
    for setting in (
        f"threads = {options.threads}",
        f"memory_limit = '{options.memory_limit}'",
        f"preserve_insertion_order = {str(options.preserve_order).lower()}",
        f"temp_directory = '{out.parent}/duckdb-spill'",
        "TimeZone = 'UTC'",
    ):
        connection.execute(f"SET {setting}")

    phases, wall, cpu = {}, time.monotonic(), time.process_time()

    def done(phase):
        nonlocal wall, cpu
        phases[phase] = {"wall": round(time.monotonic() - wall, 3), "cpu": round(time.process_time() - cpu, 3)}
        wall, cpu = time.monotonic(), time.process_time()

    load(connection, options)
    done("parse")
    if options.dedup == "rowid":
        remove_duplicates(connection)
    done("deduplicate")
    connection.execute((HERE / "sql" / "join.sql").read_text())
    done("join")
    if options.write == "partition_by":
        write_partitions(connection, out)
    else:
        write_hours(connection, out, 1 if options.write == "hours_one_by_one" else options.threads)
    done("write")

    rows, denied = connection.execute("SELECT count(*), count(*) FILTER (decision = 'denied') FROM events").fetchall()[0]
    matched = connection.execute("SELECT count(*) FROM peers").fetchall()[0][0]
    by_method = dict(connection.execute("SELECT join_method, count(*) FROM peers GROUP BY 1 ORDER BY 1").fetchall())
    print(json.dumps({"rows": rows, "matched": matched, "denied": denied, "matched_by_method": by_method, "phases": phases}))


if __name__ == "__main__":
    main()

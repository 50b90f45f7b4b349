"""Runs the whole job with Corridor and with DuckDB, alternating, and prints the ratios.

In:         a folder that `corridor generate` wrote, the corridor and parse_only binaries, a Python that has duckdb
Out:        a table on stdout, every figure as JSON in --results
Keeps:      nothing but the results; each run writes into a fresh folder, removed afterwards
Invariants: every run is a process of its own, measured by wait4 (wall, user, system, peak memory);
            exits 1 when Corridor's counts differ from truth.json, never because of a speed
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
BARS = {"wall_records_off": 0.7, "wall_records_on": 1.2, "peak": 0.4}


def measure(command, log):
    """Runs one child to its end; its figures, and what it printed on stdout. A peak below about 30 MB is this script's own."""
    with open(log, "w+") as out, open(f"{log}.err", "w+") as err:
        started = time.monotonic()
        child = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        text, problems = out.read(), err.read()
    if child.returncode != 0:
        sys.exit(f"exit {child.returncode} from: {' '.join(map(str, command))}\n{text[:1000]}\n{problems[-2000:]}")
    figures = {"wall": wall, "user": usage.ru_utime, "system": usage.ru_stime, "peak_mb": usage.ru_maxrss / 1024}
    return figures, text


def folder_size(folder):
    return sum(path.stat().st_size for path in pathlib.Path(folder).rglob("*.parquet"))


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run_corridor(options, data, records):
    """One backfill into a new lake."""
    work = fresh(options.work / "corridor")
    command = [options.corridor, "backfill", "--kong", data / "kong", "--synapse", data / "synapse"]
    command += ["--directory", data / "directory", "--lake", work / "lake", "--spill", work]
    command += ["--threads", options.threads, "--records", records, "--json"]
    figures, text = measure(command, options.work / "corridor.log")
    summary = json.loads(text)
    by = summary["rows_by"]
    figures["rows"] = summary["rows"]
    figures["matched"] = by["join_states"].get("matched", 0)
    figures["denied"] = by["decisions"].get("denied", 0)
    figures["bytes_per_row"] = summary["bytes_written"]["events"] / summary["rows"]
    shutil.rmtree(work)
    return figures


def run_duckdb(options, data):
    """One run of the peer."""
    work = fresh(options.work / "duckdb")
    command = [options.python, HERE / "duckdb_job.py", "--data", data, "--out", work / "lake", "--threads", options.threads]
    command += ["--memory-limit", options.memory_limit]
    figures, text = measure(command, options.work / "duckdb.log")
    figures |= json.loads(text)
    figures["bytes_per_row"] = folder_size(work / "lake") / figures["rows"]
    shutil.rmtree(work)
    return figures


def run_floor(options, data, *flags):
    """Reading the same files and only checking their JSON; with --refine, only refining them."""
    command = [options.parse_only, *flags, options.threads, data / "kong", data / "synapse"]
    figures, text = measure(command, options.work / "parse.log")
    return figures | json.loads(text)


def sides(options):
    """The participants of a round, by name."""
    named = {"corridor": lambda: run_corridor(options, options.data, "off")}
    if options.records in ("on", "both"):
        named["corridor, records on"] = lambda: run_corridor(options, options.data, "on")
    if options.records == "on":
        del named["corridor"]
    named["duckdb"] = lambda: run_duckdb(options, options.data)
    if options.parse_only:
        named["parse only"] = lambda: run_floor(options, options.data)
        named["refine only"] = lambda: run_floor(options, options.data, "--refine")
    return named


def expected(data):
    """Rows, matched and denied of the generator's truth."""
    truth = json.loads((data / "truth.json").read_text())
    return {
        "rows": truth["rows"],
        "matched": truth["kong"]["matched"] + truth["azure"]["matched"],
        "denied": truth["rows_by_decision"].get("denied", 0),
    }


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def paired(numerator, denominator, key):
    """Ratios round by round: neighbours in time saw the same machine."""
    return [ours[key] / peer[key] for ours, peer in zip(numerator, denominator)]


def spread(ratios):
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def print_runs(results):
    print(f"{'':22}{'wall s':>9}{'cpu s':>9}{'peak MB':>9}{'rows':>11}{'matched':>11}{'denied':>9}{'B/row':>8}")
    for name, runs in results.items():
        cpu = statistics.median(run["user"] + run["system"] for run in runs)
        line = f"{name:22}{median(runs, 'wall'):9.1f}{cpu:9.1f}{median(runs, 'peak_mb'):9.0f}"
        if "rows" in runs[0]:
            line += f"{runs[-1]['rows']:11,}{runs[-1]['matched']:11,}{runs[-1]['denied']:9,}{runs[-1]['bytes_per_row']:8.0f}"
        print(line)


def print_ratios(results):
    """The figures that count; a bar that is missed is said, and changes no exit code."""
    peer = results["duckdb"]
    for run in (run for runs in results.values() for run in runs):
        run["cpu"] = run["user"] + run["system"]
    print(f"\n{'ratio, pair by pair':44}median (min-max)")
    ratios = {}
    for name, bar in (("corridor", BARS["wall_records_off"]), ("corridor, records on", BARS["wall_records_on"])):
        if name not in results:
            continue
        for key, limit in (("wall", bar), ("cpu", None), ("peak_mb", BARS["peak"])):
            values = paired(results[name], peer, key)
            verdict = "" if limit is None else f"   bar {limit}: {'met' if statistics.median(values) <= limit else 'MISSED'}"
            print(f"{name + ' / duckdb, ' + key:44}{spread(values)}{verdict}")
            ratios[f"{name} / duckdb, {key}"] = values
        for floor in ("parse only", "refine only"):
            if floor in results:
                values = paired(results[name], results[floor], "cpu")
                print(f"{name + f' / {floor}, cpu':44}{spread(values)}")
                ratios[f"{name} / {floor}, cpu"] = values
    return ratios


def check_counts(results, truth):
    """Corridor must equal the truth. The peer skips the few records that need more than SQL: its distance is printed."""
    wrong = False
    print(f"\ntruth: {truth['rows']:,} rows, {truth['matched']:,} matched, {truth['denied']:,} denied")
    for name, runs in results.items():
        if "rows" not in runs[0]:
            continue
        off = {key: run[key] - truth[key] for run in runs for key in truth if run[key] != truth[key]}
        print(f"{name}: " + ("agrees" if not off else ", ".join(f"{key} {value:+,}" for key, value in off.items())))
        wrong = wrong or (bool(off) and name != "duckdb")
    return not wrong


def double_hours(options):
    """Peak memory for the same hourly traffic over H and over 2H hours."""
    results = {}
    for data in (options.data, options.double_hours):
        hours = json.loads((data / "truth.json").read_text())["hours"]
        runs = [run_corridor(options, data, "off") for _ in range(options.runs)]
        results[f"{hours} h"] = runs
        peak, wall = median(runs, "peak_mb"), median(runs, "wall")
        print(f"{hours} h: {runs[0]['rows']:,} rows, peak {peak:.0f} MB, wall {wall:.1f} s", flush=True)
    short, long = results.values()
    print(f"peak, twice the hours / the hours: {median(long, 'peak_mb') / median(short, 'peak_mb'):.2f} (1.00 is flat)")
    return results


def warm(data):
    """Reads every file once, so that no side pays for the first read."""
    for path in sorted(data.rglob("*")):
        if path.is_file():
            with open(path, "rb", buffering=0) as file:
                while file.read(1 << 24):
                    pass


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--corridor", required=True, help="the corridor binary, built with --release")
    parser.add_argument("--parse-only", help="the parse_only binary of benches/; leave out to skip that floor")
    parser.add_argument("--python", default=sys.executable, help="a Python that has duckdb")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="scratch folder on the same disk")
    parser.add_argument("--results", type=pathlib.Path, help="JSON file for every figure")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-limit", default="12GB", help="DuckDB's own limit; it spills beyond it")
    parser.add_argument("--records", choices=["off", "on", "both"], default="both")
    parser.add_argument("--double-hours", type=pathlib.Path, help="data of the same rate over twice the hours: compares peaks only")
    return parser.parse_args()


def main():
    options = parse_arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    report = {"data": options.data.name, "threads": options.threads, "machine": platform.machine(), "cores": os.cpu_count()}
    if options.double_hours:
        report["runs"] = double_hours(options)
        agrees = True
    else:
        warm(options.data)
        named = sides(options)
        results = {name: [] for name in named}
        for number in range(options.runs):
            order = list(named) if number % 2 == 0 else list(reversed(named))
            for name in order:
                results[name].append(named[name]())
                print(f"round {number + 1}: {name}: {results[name][-1]['wall']:.1f} s", file=sys.stderr, flush=True)
        print_runs(results)
        report["ratios"] = print_ratios(results)
        agrees = check_counts(results, expected(options.data))
        report["runs"] = results
    if options.results:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()

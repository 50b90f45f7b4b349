"""The live worker beside Flink SQL: HTTP to durable, the log to visible Parquet, source topics to visible Parquet.

In:         a folder that `corridor generate` wrote, the corridor and post_load binaries, scripts/kafka.sh, Flink's jars
Out:        a line per figure on stdout, every figure as JSON in --results
Keeps:      nothing but the results; lakes, logs and the broker's data live in --work and are made anew
Invariants: CPU is user + system time of the worker's (or Flink's) process alone, from /proc; the broker and the load generator are not
            counted; a run ends when the worker's equation has every event and nothing waits; one that does not get there exits 1.
            Rows are counted in the Parquet files and printed; whether they are the right ones is what the tests are for
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import duckdb
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
BARS = {"http_per_core": 25_000, "ack_p99_ms": 100, "warm_per_core_second": 40_000, "times_flink": 2.5, "memory_share": 1 / 3}
JVM = ["--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED"]


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def cpu_of(pid):
    """User and system seconds of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_of(pid):
    """The largest resident set of a process so far, in MB."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class Worker:
    """A running `corridor run`."""

    def __init__(self, options, name, settings):
        self.port = free_port()
        self.log = options.work / f"{name}.log"
        named = {f"CORRIDOR_{key.upper()}": str(value) for key, value in settings.items()}
        named |= {
            "CORRIDOR_HTTP_LISTEN": f"127.0.0.1:{self.port}",
            "CORRIDOR_DIRECTORY": str(options.data / "directory"),
            "CORRIDOR_RECORDS": options.records,
            "CORRIDOR_SCRATCH": str(fresh(options.work / f"{name}-scratch")),
            "CORRIDOR_JOIN_WAIT_SECONDS": str(options.wait),
            "CORRIDOR_CLAIM_VISIBLE_SECONDS": str(options.visible),
        }
        with open(self.log, "w") as log:
            self.child = subprocess.Popen([options.corridor, "run"], env=os.environ | named, stdout=log, stderr=log)
        self.wait_for(lambda: self.status() is not None, 60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def status(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    def wait_for(self, holds, seconds):
        until = time.monotonic() + seconds
        while not holds():
            if self.child.poll() is not None or time.monotonic() > until:
                sys.exit(f"the worker did not get there; see {self.log}")
            time.sleep(0.25)

    def wait_until_visible(self, events, seconds=600):
        """Waits until so many events are rows, rejects or duplicates of a claim, and nothing waits."""

        def is_done():
            status = self.status() or {"shards": [], "ledger": {}}
            told = sum(status["ledger"].get(key, 0) for key in ("rows", "rejects", "duplicates"))
            waiting = sum(shard["ledger"]["pending"] + shard["ready_rows"] for shard in status["shards"])
            return told >= events and waiting == 0

        self.wait_for(is_done, seconds)

    def has_taken(self, events):
        """Whether every shard has taken so many records in all, and nothing of its log is left."""
        shards = self.status()["shards"]
        taken = sum(shard["ledger"]["records_in"] for shard in shards)
        return taken >= events and all(shard["phase"] == "running" and shard["lag_records"] < 100 for shard in shards)

    def figures(self, events, since):
        cpu = cpu_of(self.child.pid) - since[1]
        return {
            "events": events,
            "wall": time.monotonic() - since[0],
            "cpu": cpu,
            "events_per_core_second": events / cpu,
            "peak_mb": peak_of(self.child.pid),
        }

    def now(self):
        return time.monotonic(), cpu_of(self.child.pid)

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(10)
            # Everything was measured; what is left to do is to leave the consumer group.
            self.child.kill()
            self.child.wait()


class Broker:
    """Apache Kafka of scripts/kafka.sh, on loopback; it ends when its standard input does."""

    def __init__(self, options):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        command = [options.kafka, "run", fresh(options.work / "broker"), self.port]
        self.child = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if not self.child.stdout.readline().startswith("ready"):
            sys.exit("the broker did not start")

    def create(self, *names, partitions, settings=None):
        topics = [NewTopic(name, partitions, 1, config={"retention.ms": "-1"} | (settings or {})) for name in names]
        admin = AdminClient({"bootstrap.servers": self.address})
        for made in admin.create_topics(topics).values():
            made.result()

    def create_log(self, name, partitions):
        self.create(name, partitions=partitions, settings={"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(24 << 20)})

    def settings(self, topic, partitions, roles):
        return {
            "kafka_bootstrap": self.address,
            "log_kind": "kafka",
            "log_topic": topic,
            "log_group": topic,
            "log_shards": partitions,
            "roles": roles,
        }

    def stop(self):
        self.child.stdin.close()
        self.child.wait(60)


def visible(lake):
    """Rows and bytes of the events that a reader of the lake sees."""
    files = [str(path) for path in pathlib.Path(lake).rglob("*.parquet") if "/records/" not in str(path) and "/rejects/" not in str(path)]
    size = sum(pathlib.Path(file).stat().st_size for file in files)
    rows = duckdb.execute("SELECT sum(num_rows) FROM parquet_file_metadata(?)", [files]).fetchone()[0] if files else 0
    return {"rows": int(rows or 0), "bytes_per_row": size / rows if rows else 0.0, "files": len(files)}


def post(options, worker, side, entries, batch, rate=None):
    """A load generator that is running; its figures are its output."""
    folder = {"kong": "kong", "azure": "synapse"}[side]
    command = [options.post_load, f"http://127.0.0.1:{worker.port}/v1/{side}", options.data / folder, entries, batch, options.connections]
    command += [rate] if rate else []
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)


def figures_of(load):
    text, _ = load.communicate()
    if load.returncode:
        sys.exit(f"the load generator ended with {load.returncode}")
    return json.loads(text)


def http_to_durable(options):
    """Kong batches to the embedded log, with the join standing still: first as fast as they are answered, then at half the bar."""
    work = fresh(options.work / "http")
    settings = {"lake": work / "lake", "log_folder": work / "log", "log_shards": options.shards, "log_bytes_max": 64 << 30}
    with Worker(options, "http-first", settings):
        time.sleep(3)
    # A log that is not the one of the chain stops the shards, as it must; intake goes on. So nothing but intake is measured.
    results = {}
    for name, rate in (("full", None), ("half", BARS["http_per_core"] // 2)):
        shutil.rmtree(work / "log")
        with Worker(options, f"http-{name}", settings) as worker:
            worker.wait_for(lambda: all(s["phase"] == "stopped" for s in worker.status()["shards"] or [{"phase": ""}]), 30)
            since = worker.now()
            load = figures_of(post(options, worker, "kong", options.entries, 100, rate))
            results[name] = load | worker.figures(load["entries"], since)
    shutil.rmtree(work)
    return results


def fill(options, worker, entries):
    """Both sides at rates that keep their event times together; the events that were accepted."""
    share = entries / options.kong_lines
    envelopes = int(options.envelopes * share)
    azure_rate = max(1, options.fill_rate * options.envelopes // options.kong_lines)
    loads = [post(options, worker, "kong", entries, 100, options.fill_rate), post(options, worker, "azure", envelopes, 10, azure_rate)]
    for load in loads:
        figures_of(load)
    intake = worker.status()["intake"]
    return intake["events"] + intake["rejects"]


def fill_log(options, broker, name, lake, entries):
    """A topic of its own, filled by a worker that only takes in; the events in it, and what that cost."""
    broker.create_log(name, options.shards)
    with Worker(options, f"{name}-intake", {"lake": lake} | broker.settings(name, options.shards, "intake")) as intake:
        since = intake.now()
        events = fill(options, intake, entries)
        filled = intake.figures(events, since)
    say(f"{name}: {events} events are in the log")
    return events, filled


def log_to_visible(options, broker, name, entries):
    """The log topic is filled first; then a worker that only joins reads it from its start until everything is visible."""
    lake = fresh(options.work / "lakes" / name)
    events, filled = fill_log(options, broker, name, lake, entries)
    began = time.monotonic()
    with Worker(options, f"{name}-join", {"lake": lake} | broker.settings(name, options.shards, "join")) as join:
        join.wait_until_visible(events)
        figures = join.figures(events, (began, 0.0)) | visible(lake)
    shutil.rmtree(lake)
    return {"intake": filled, "join": figures}


def recovery(options, broker):
    """Everything of a log waits for partners; the worker is killed, and the next one replays it from the floor.

    Append times are the log's own: the events came faster than the 500 a second of the bar. --entries says how many wait.
    """
    lake = fresh(options.work / "lakes" / "recovery")
    events, _ = fill_log(options, broker, "recovery", lake, options.entries)
    settings = {"lake": lake} | broker.settings("recovery", options.shards, "join")
    waiting = argparse.Namespace(**vars(options) | {"wait": 1800})
    with Worker(waiting, "recovery-first", settings) as worker:
        # Rows that a request id matches are final at once: a claim of them makes the rest a replay.
        has_claimed = lambda: all(shard["last_claim"] for shard in worker.status()["shards"] or [{"last_claim": None}])
        worker.wait_for(lambda: has_claimed() and worker.has_taken(events), 300)
        worker.child.kill()
        worker.child.wait()
    began = time.monotonic()
    with Worker(waiting, "recovery-second", settings) as worker:
        worker.wait_for(lambda: bool(worker.status()["shards"]), 120)
        assigned = time.monotonic()
        worker.wait_for(lambda: worker.has_taken(events), 300)
        figures = worker.figures(events, (assigned, 0.0)) | {"until_assigned": assigned - began}
        figures["pending"] = worker.status()["ledger"]["pending"]
    shutil.rmtree(lake)
    return figures


def marginal(small, large):
    """The rate of what the larger run did beyond the smaller one: start, first claims and waiting for the last rows drop out."""
    cpu = large["cpu"] - small["cpu"]
    return (large["events"] - small["events"]) / cpu if cpu > 0 else 0.0


def produce(options, broker, entries, kong, azure):
    """Source topics: one message per Kong entry, one per Azure envelope, with event times side by side."""
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 50, "queue.buffering.max.messages": 200_000})
    sides = [lines_of(options.data / "kong"), lines_of(options.data / "synapse")]
    every, messages = options.kong_lines / options.envelopes, 0
    due = 0.0
    for number, line in zip(range(entries), sides[0]):
        send(producer, kong, line, number % options.shards)
        while due <= number:
            send(producer, azure, next(sides[1]), messages % options.shards)
            due, messages = due + every, messages + 1
    producer.flush()
    return entries, messages


def send(producer, topic, line, partition):
    while True:
        try:
            producer.produce(topic, line, partition=partition)
            return
        except BufferError:
            producer.poll(0.1)


def lines_of(folder):
    for path in sorted(folder.iterdir()):
        with open(path, "rb") as file:
            yield from (line.rstrip(b"\n") for line in file)


def topics_to_visible(options, broker, name, kong, azure, messages):
    """A worker with both roles takes the source topics from their start until everything is visible."""
    lake = fresh(options.work / "lakes" / name)
    broker.create_log(f"{name}-log", options.shards)
    settings = {"lake": lake} | broker.settings(f"{name}-log", options.shards, "intake,join")
    settings |= {"kong_source_topics": kong, "kong_source_group": f"{name}-kong"}
    settings |= {"azure_source_topics": azure, "azure_source_group": f"{name}-azure"}
    began = time.monotonic()
    with Worker(options, name, settings) as worker:
        took = lambda: sum(source["messages"] for source in worker.status()["sources"])
        worker.wait_for(lambda: took() >= messages, 600)
        intake = worker.status()["intake"]
        events = intake["events"] + intake["rejects"]
        worker.wait_until_visible(events)
        figures = worker.figures(events, (began, 0.0)) | visible(lake)
    shutil.rmtree(lake)
    return figures


def flink(options, broker, name, kong, azure, entries):
    """The nearest job in Flink SQL, a process of its own from start to end."""
    work = fresh(options.work / name)
    command = ["java", *JVM, f"-Xmx{options.flink_heap}", "-cp", f"{options.flink_jars}/*", HERE / "flink" / "FlinkJob.java"]
    command += [HERE / "sql" / "flink_job.sql", work / "checkpoints", f"KONG_TOPIC={kong}", f"AZURE_TOPIC={azure}"]
    command += [f"BOOTSTRAP={broker.address}", f"LAKE=file://{work}/lake"]
    began = time.monotonic()
    with open(options.work / f"{name}.log", "w") as log:
        child = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"Flink ended with {child.returncode}; see {options.work}/{name}.log")
    cpu = usage.ru_utime + usage.ru_stime
    seen = visible_anywhere(work / "lake")
    figures = {"wall": time.monotonic() - began, "cpu": cpu, "peak_mb": usage.ru_maxrss / 1024, "entries": entries}
    shutil.rmtree(work)
    return figures | seen


def visible_anywhere(lake):
    """Flink's finished files have no ending of their own."""
    files = [str(path) for path in pathlib.Path(lake).rglob("*") if path.is_file() and not path.name.startswith((".", "_"))]
    size = sum(pathlib.Path(file).stat().st_size for file in files)
    query = "SELECT count(*), count(category), count(*) FILTER (denied) FROM read_parquet(?)"
    rows, matched, denied = duckdb.execute(query, [files]).fetchone()
    return {"rows": rows, "matched": matched, "denied": denied, "bytes_per_row": size / max(rows, 1), "files": len(files)}


def show(name, figures):
    wanted = ("events", "entries", "rows", "pending", "until_assigned", "per_second", "wall", "cpu", "events_per_core_second")
    wanted += ("peak_mb", "bytes_per_row", "files", "p50_ms", "p99_ms")
    parts = [f"{key} {figures[key]:,.1f}" for key in wanted if key in figures]
    print(f"{name:28} {'  '.join(parts)}", flush=True)


def measure(options, results, save):
    sizes = {"small": options.entries // 4, "large": options.entries}
    if "http" in options.parts:
        results["http"] = http_to_durable(options)
        for name, figures in results["http"].items():
            show(f"http to durable, {name}", figures)
        save()
    if not {"log", "recovery", "topics", "flink"} & set(options.parts):
        return
    broker = Broker(options)
    with contextlib.ExitStack() as stack:
        stack.callback(broker.stop)
        if "log" in options.parts:
            results["log"] = {name: log_to_visible(options, broker, f"log-{name}", entries) for name, entries in sizes.items()}
            save()
            show_log(results["log"])
        if "recovery" in options.parts:
            results["recovery"] = recovery(options, broker)
            show("recovery", results["recovery"])
            save()
        if {"topics", "flink"} & set(options.parts):
            measure_topics(options, broker, results, sizes, save)


def show_log(log):
    for size, runs in log.items():
        for name, figures in runs.items():
            show(f"log to visible, {size} {name}", figures)
    for name in ("intake", "join"):
        print(f"{'log to visible, warm ' + name:28} events_per_core_second {marginal(log['small'][name], log['large'][name]):,.0f}")


def measure_topics(options, broker, results, sizes, save):
    """The worker and Flink, one after the other, on the same topics; the other way round in odd rounds."""
    events = {}
    for size, entries in sizes.items():
        broker.create(f"kong-{size}", f"azure-{size}", partitions=options.shards)
        events[size] = produce(options, broker, entries, f"kong-{size}", f"azure-{size}")
        say(f"produced {events[size]}")
    results["topics"], results["flink"] = [], []
    for number in range(options.runs):
        order = [part for part in ("topics", "flink") if part in options.parts]
        for part in order if number % 2 == 0 else reversed(order):
            run = {}
            for size, (entries, envelopes) in events.items():
                name = f"{part}-{size}-{number}"
                if part == "topics":
                    run[size] = topics_to_visible(options, broker, name, f"kong-{size}", f"azure-{size}", entries + envelopes)
                else:
                    run[size] = flink(options, broker, name, f"kong-{size}", f"azure-{size}", entries)
                    run[size]["events"] = entries + envelopes * options.records_per_envelope
                    run[size]["events_per_core_second"] = run[size]["events"] / run[size]["cpu"]
                show(f"{part} to visible, {size}", run[size])
            run["warm"] = marginal(run["small"], run["large"])
            print(f"{part + ' to visible, warm':28} events_per_core_second {run['warm']:,.0f}", flush=True)
            results[part].append(run)
            save()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--corridor", required=True)
    parser.add_argument("--post-load", required=True)
    parser.add_argument("--kafka", required=True, help="scripts/kafka.sh")
    parser.add_argument("--flink-jars", help="folder with Flink's jars")
    parser.add_argument("--flink-heap", default="4g")
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--results", type=pathlib.Path, required=True)
    parser.add_argument("--entries", type=int, default=1_000_000, help="Kong entries of the larger run; the smaller has a quarter")
    parser.add_argument("--fill-rate", type=int, default=10_000, help="Kong entries per second while a log is filled")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--shards", type=int, default=2, help="shards, and partitions of the source topics")
    parser.add_argument("--wait", type=int, default=20, help="seconds that a row waits for its partner")
    parser.add_argument("--visible", type=int, default=20)
    parser.add_argument("--records", choices=["off", "on"], default="off")
    parser.add_argument("--runs", type=int, default=1, help="rounds of the worker and Flink")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=["http", "log", "recovery", "topics", "flink"])
    return parser.parse_args()


def main():
    options = parse_arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    truth = json.loads((options.data / "truth.json").read_text())
    options.kong_lines = truth["kong"]["records"]
    options.envelopes = sum(1 for _ in lines_of(options.data / "synapse"))
    options.records_per_envelope = truth["azure"]["records"] / options.envelopes
    options.entries = min(options.entries, options.kong_lines * 9 // 10)
    results = {"data": options.data.name, "entries": options.entries, "wait": options.wait, "records": options.records}

    def save():
        options.results.write_text(json.dumps(results, indent=1) + "\n")

    measure(options, results, save)
    save()


if __name__ == "__main__":
    main()

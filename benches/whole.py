#!/usr/bin/env python3
"""Whole processes against `vod-refresh emulator`: wall time, CPU time, memory and calls of each.

usage: benches/whole.py [bar|three|ten|sdk|scale]...      (all of them without arguments; about eight minutes)

  bar    1,000 media, 4,000 tasks of 20 s; the service takes 5 task queries and 50 submissions a second
  three  the same work by one process, then by three at once on one account with one journal
  ten    4,000 tasks by one process, then by ten; VOD_REFRESH_JOURNAL may name an empty PostgreSQL database for both
  sdk    150 media with 4 URLs, tasks of 8 s: beside the vendor's Python SDK with 16 threads and a 2 s interval
  scale  1,000, 10,000 and 100,000 tasks of 8 s, a service without limits

Needs `cargo build --release`; `sdk` also needs the environment that `tests/interop/run` makes.
"""
import json, os, re, statistics, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("VOD_REFRESH", ROOT / "target/release/vod-refresh"))
PYTHON = ROOT / "target/interop-venv/bin/python"
LIMITS = {"DescribeVodRefreshTasks": 5, "RefreshMediaPlayUrls": 50}
KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "testid", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "testsecret",
        "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true", "PATH": os.environ["PATH"]}


class Emulator:
    """The pretend cloud on a port of its own."""

    def __init__(self, **scenario):
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name, "scenario.json")
        path.write_text(json.dumps(scenario))
        command = [BINARY, "emulator", "--listen", "127.0.0.1:0", "--scenario", path]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"http://([0-9.:]+)", line):
                self.address = found[1]
                break
        # Nobody reads on: the emulator's log must not fill the pipe.
        ThreadPoolExecutor(1).submit(self.process.stderr.read)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def measured(command, env):
    """Runs a command; gives back what it printed and what it cost."""
    out = tempfile.TemporaryFile("w+")
    err = tempfile.TemporaryFile("w+")
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=out, stderr=err, env=env)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    out.seek(0), err.seek(0)
    if status:
        sys.exit(f"{command} ended with {os.waitstatus_to_exitcode(status)}:\n{err.read()}")
    cost = f"{wall:.1f} s, {usage.ru_utime + usage.ru_stime:.2f} s of CPU, {usage.ru_maxrss / 1024:.0f} MiB at the peak"
    return out.read(), wall, usage.ru_utime + usage.ru_stime, cost


def refresh(address, ids, *options, journal=None):
    """One run of ours; gives back its report, wall time, CPU time and a line about it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "ids").write_text("\n".join(ids))
        command = [BINARY, "refresh", "--from-file", Path(folder, "ids"), "--endpoint", f"http://{address}",
                   "--journal", journal or Path(folder, "journal.db"), "--output", "json", *options]
        text, wall, cpu, cost = measured(command, KEYS | {"HOME": folder})
    report = json.loads(text)
    summary = report["summary"]
    calls = sum(summary["api_calls"].values())
    queries = summary["api_calls"]["DescribeVodRefreshTasks"]
    assert report["outcome"] == "complete", report["outcome"]
    # Our knowing it, less the last look that showed it running: the delay of a task lies between none and that.
    delays = [seconds(task["ended_at"]) - seconds(task["unfinished_at"])
              for media in report["media"] for task in media["tasks"] if task["unfinished_at"]]
    delay = f", at most {statistics.median(delays):.0f} s from an end to our knowing it (median)" if delays else ""
    line = (f"{cost}; {calls} calls, {queries} of them task queries, "
            f"{summary['retries']} repeated ({100 * summary['retries'] / calls:.1f} %){delay}")
    return wall, cpu, queries, summary["tasks"], line


def seconds(time):
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def ids(count, name="m"):
    return [f"{name}{n:06}" for n in range(count)]


def bar():
    with Emulator(urls_per_media=4, task_duration="20s", rates=LIMITS) as cloud:
        print("bar:", refresh(cloud.address, ids(1000))[-1])
    # Few enough to be asked for one by one: how long after its end a task is known to have ended.
    with Emulator(urls_per_media=2, task_duration="60s", task_jitter="60s", rates=LIMITS) as cloud:
        print("delay:", refresh(cloud.address, ids(9))[-1])


def three():
    for media, duration in ((50, "20s"), (333, "20s"), (333, "120s")):
        together("three", "abc", media, duration)


def ten():
    together("ten", "abcdefghij", 100, "20s")


def together(title, names, media, duration):
    scenario = dict(urls_per_media=4, task_duration=duration, rates=LIMITS)
    count = len(names)
    with Emulator(**scenario) as cloud:
        one = refresh(cloud.address, ids(count * media))
    print(f"{title}: {4 * count * media} tasks of {duration} by one process: {one[-1]}")
    with Emulator(**scenario) as cloud, ThreadPoolExecutor(count) as pool, tempfile.TemporaryDirectory() as folder:
        journal = os.environ.get("VOD_REFRESH_JOURNAL") or Path(folder, "journal.db")
        start = time.monotonic()
        runs = list(pool.map(lambda name: refresh(cloud.address, ids(media, name), journal=journal), names))
        wall = time.monotonic() - start
    for run in runs:
        print(f"{title}: by one of them:", run[-1])
    queries = sum(run[2] for run in runs)
    print(f"{title}: {wall:.1f} s, {wall / one[0]:.2f} times as long, "
          f"{queries} task queries, {queries / one[2]:.2f} times as many", flush=True)


def sdk():
    scenario = dict(urls_per_media=4, task_duration="8s")
    with Emulator(**scenario) as cloud:
        ours = refresh(cloud.address, ids(150))
        print("sdk: ours:", ours[-1])
    with Emulator(**scenario) as cloud, tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(ids(150)))
        file.flush()
        script = ROOT / "tests/interop/sdk_script.py"
        text, wall, cpu, cost = measured([PYTHON, script, cloud.address, file.name, "16", "2"], dict(os.environ))
        print(f"sdk: theirs: {cost}; {text.strip()}")
    queries = int(re.search(r"calls (\d+)", text)[1])
    print(f"sdk: ours needs {100 * ours[2] / queries:.1f} % of the calls for task queries alone, "
          f"{100 * ours[1] / cpu:.1f} % of the CPU time, {100 * ours[0] / wall:.0f} % of the wall time")


def scale():
    for media in (250, 2_500, 25_000):
        with Emulator(urls_per_media=4, task_duration="8s", rates={"RefreshMediaPlayUrls": 0, "GetMediaRefreshJobs": 0}) as cloud:
            wall, cpu, _, tasks, line = refresh(cloud.address, ids(media), "--max-rps", "1000")
            print(f"scale: {tasks} tasks: {line}; {1e6 * cpu / tasks:.0f} µs of CPU a task, HTTP included")


for name in sys.argv[1:] or ["bar", "three", "ten", "sdk", "scale"]:
    {"bar": bar, "three": three, "ten": ten, "sdk": sdk, "scale": scale}[name]()

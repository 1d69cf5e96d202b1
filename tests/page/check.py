"""Makes runs of 1, 45 and 5,000 media and one full of markup, and judges what they wrote. A line for each check."""

import json
import os
import random
import re
import subprocess
import sys
import tarfile
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import axe_core_python
import html5lib
import jsonschema
import referencing
from junitparser import JUnitXml
from lxml import etree

from browser import Browser

BINARY, FOLDER, SCHEMAS = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
LIMIT = 2_000_000
COUNTS = {True: 0, False: 0}
FAST = {"rates": {"RefreshMediaPlayUrls": 0, "GetMediaRefreshJobs": 0}, "job_delay": "100ms"}


def check(what, problems):
    """Prints a line. `problems` is empty if all is well."""
    good = not problems
    COUNTS[good] += 1
    print(f"{'ok  ' if good else 'FAIL'}  {what}{'' if good else ': ' + str(problems)[:600]}", flush=True)


# What the runs are made of.

def many(count):
    """Two URLs each; of the larger runs some fail in each way."""
    scenario = FAST | {"task_duration": "1s", "task_jitter": "2s", "media": {}, "faults": []}
    ids = [f"{n * 2654435761 % 2**32:08x}4957b658067095869a{n:06x}" for n in range(count)]
    if count > 1:
        scenario["media"] = {
            ids[3]: {"missing": True},
            ids[7]: {"forbidden": True},
            ids[11]: {"submit_fail": {"code": "InvalidDomain.NotFound", "message": "Can't find domain."}},
            ids[17]: {"url_count": 4, "failed_tasks": [1, 3], "failed_description": "Origin Timeout"},
        }
        scenario["faults"] = [
            {"action": "RefreshMediaPlayUrls", "fault": {"throttle": {}}},
            {"action": "DescribeVodRefreshTasks", "skip": 1, "fault": {"throttle": {}}},
            {"action": "GetMediaRefreshJobs", "fault": "reset_before"},
        ]
    # One comes to its deadline, one to its end.
    if count == 45:
        scenario["media"][ids[23]] = {"never_complete": [0]}
    return scenario, ids, None


PIECES = ["<", ">", "&", '"', "'", "`", "=", "/", "<!--", "-->", "<![CDATA[", "]]>", "<script>alert(1)</script>", "&lt;", "&#0;",
          "<img src=x onerror=alert(1)>", "</style>", "</title>", "</textarea>", "<svg/onload=alert(1)>", "<?xml?>", "\\", "{x=",
          "javascript:", "%3c", "片头", "é", "🎬", "\u202e", "\u2028", "a", "z", "0"]
LOOSE = [" ", "\n", "\r\n", "\t", "\0", "\x1b[31m", "\x7f", "\u0085", "\ufffe", "\ufeff"]


def evil():
    """Markup and worse wherever text of others can stand; the same in each run of this script."""
    dice = random.Random(20261125)
    text = lambda pieces, length: "".join(dice.choice(pieces) for _ in range(length))
    # An id is letters, digits and a few signs, or it is never sent.
    ids = [f"m{n}" for n in range(40)]
    scenario = FAST | {"task_duration": "500ms", "media": {}}
    for n, media in enumerate(ids):
        url = lambda: "https://h.example/" + text(PIECES, 8)
        scenario["media"][media] = [
            {"submit_fail": {"code": "E" + text(PIECES, 5), "message": "why " + text(PIECES + LOOSE, 14)}},
            {"urls": [url(), url()], "failed_tasks": True, "failed_description": "why " + text(PIECES + LOOSE, 14)},
            {"urls": [url()]},
            {"missing": True},
        ][n % 4]
    return scenario, ids, "pass " + "".join(p for p in PIECES if p != "\u2028")


def make(name, scenario, ids, extend):
    """One run; its files are NAME.json, NAME.html, NAME.xml and NAME.prom."""
    files = {kind: FOLDER / f"{name}.{kind}" for kind in ("json", "html", "xml", "prom")}
    script, lists = FOLDER / f"{name}-scenario.json", FOLDER / f"{name}-ids"
    script.write_text(json.dumps(scenario))
    lists.write_text("\n".join(ids))
    emulator = subprocess.Popen([BINARY, "emulator", "--listen", "127.0.0.1:0", "--scenario", script], stderr=subprocess.PIPE,
                                text=True)
    try:
        for line in emulator.stderr:
            if found := re.search(r"listening on (http://\S+)", line):
                break
        world = {"PATH": os.environ["PATH"], "HOME": str(FOLDER), "ALIBABA_CLOUD_ACCESS_KEY_ID": "testid",
                 "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "testsecret", "VOD_REFRESH_ENDPOINT": found[1]}
        command = [BINARY, "refresh", "--from-file", lists, "--timeout", "8s" if name == "45" else "50s", "--poll-interval", "500ms",
                   "--max-rps", "1000", "--journal", FOLDER / f"{name}.db", "--quiet", "--report", files["json"],
                   "--report-html", files["html"], "--report-junit", files["xml"], "--metrics-file", files["prom"]]
        command += ["--extend", extend] if extend else []
        command += ["--verify-edge", "--edge-node", found[1]] if name == "1" else []
        done = subprocess.run(command, env=world, capture_output=True, text=True, timeout=60)
        # The same run as the journal tells it.
        stored = [BINARY, "status", "--journal", FOLDER / f"{name}.db", "--quiet", "--report-html", FOLDER / f"{name}-status.html"]
        status = subprocess.run(stored, env=world, capture_output=True, text=True, timeout=60)
    finally:
        emulator.kill()
        emulator.wait()
    expected = {"1": 0, "45": 8, "5000": 7, "evil": 7}[name]
    check(f"{name}: the run ends as it should, and status writes a page of it",
          [] if (done.returncode, status.returncode) == (expected, 0) else [done, status])
    return files, json.loads(files["json"].read_text())


# Who judges them.

def judge_page(name, path):
    size = path.stat().st_size
    check(f"{name}: the page has {size:,} bytes, under {LIMIT:,}", [] if size < LIMIT else [size])
    parser = html5lib.HTMLParser(strict=True)
    try:
        tree, problems = parser.parse(path.read_bytes()), []
    except Exception as why:  # noqa: BLE001: the parser's errors have no common base
        check(f"{name}: an HTML parser finds no fault", [repr(why), parser.errors[:3]])
        return None
    known = set("html head meta link title style body a header div h1 h2 h3 p span strong dl dt dd ul li b nav main section details "
                "summary table caption thead tbody tr th td code time figure footer svg rect line text g desc".split())
    for element in tree.iter():
        tag = str(element.tag).split("}")[-1]
        if tag not in known:
            problems.append(tag)
        for attribute, value in element.attrib.items():
            outside = attribute in ("href", "src") and not re.fullmatch(r"#[a-z-]+|data:,", value)
            if attribute.startswith("on") or attribute == "style" or outside:
                problems.append(f"{tag} {attribute}={value}")
    check(f"{name}: an HTML parser finds no fault, and no element, handler or address that is not ours", problems)
    return tree


def shown(text):
    """How our files may show a text: characters that they cannot carry are replaced."""
    barred = lambda c: unicodedata.category(c) == "Cc" or ord(c) & 0xFFFE == 0xFFFE or c in "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    return "".join(" " if c == "\r" else "\ufffd" if barred(c) and c not in "\n\t" else c for c in text)


def texts(report):
    """All texts of others in a report."""
    yield report["extend"]
    for media in report["media"]:
        yield media["media_id"]
        if media["error"]:
            yield media["error"]["code"]
            yield media["error"]["message"]
        for task in media["tasks"]:
            yield task["url"]
            yield task["description"]


def judge_texts(report, tree, junit):
    flat = lambda text: " ".join(text.split())
    for what, text in [("page", flat("".join(tree.itertext()))),
                       ("JUnit file", flat(" ".join(t for e in junit.iter() for t in [*e.attrib.values(), e.text or ""])))]:
        lost = [t for t in texts(report) if t and flat(shown(t)) not in text]
        # A media that is complete has its URLs in the page only.
        if what == "JUnit file":
            fine = {task["url"] for media in report["media"] if media["state"] == "complete" for task in media["tasks"]}
            lost = [t for t in lost if t not in fine]
        check(f"evil: the {what} shows every text as it is", lost)


def judge_junit(name, path, report):
    tree = etree.parse(path)
    problems = []
    for schema in schemas():
        if not schema.validate(tree):
            problems.append(str(schema.error_log)[:300])
    check(f"{name}: the JUnit file is valid by the schemas of Jenkins", problems)
    suites = list(JUnitXml.fromfile(str(path)))
    cases = [case for suite in suites for case in suite]
    verdicts = [type(result).__name__ for case in cases for result in case.result]
    failed = report["summary"]["media_failed"]
    agreed = (len(cases), verdicts.count("Failure"), suites[0].tests, suites[0].failures)
    wanted = (len(report["media"]), failed, len(report["media"]), failed)
    check(f"{name}: junitparser counts {len(cases)} cases with {failed} failures", [] if agreed == wanted else [agreed, wanted])
    return tree.getroot()


def schemas():
    source = next(SCHEMAS.glob("*.tar.gz"))
    with tarfile.open(source) as archive:
        for member in archive.getmembers():
            if member.name.endswith("junit-10.xsd"):
                yield etree.XMLSchema(etree.parse(archive.extractfile(member)))


def report_validators():
    """Validators of a report and of a line of NDJSON, by another implementation than that of the tests in Rust."""
    schema = json.loads(subprocess.run([BINARY, "report-schema"], capture_output=True, text=True, check=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    registry = referencing.Registry().with_contents([(schema["$id"], schema)])
    make = lambda pointer: jsonschema.Draft202012Validator({"$ref": schema["$id"] + pointer}, registry=registry)
    return make(""), make("#/$defs/line")


def faults(validator, document):
    return [f"{fault.json_path}: {fault.message[:200]}" for fault in validator.iter_errors(document)]


def judge_schema(validator, lines):
    """Breaks a whole report in each way of the fixture; and reads what `demo` tells on the way."""
    fixture = json.loads((Path(__file__).parent.parent / "fixtures/reports.json").read_text())
    passed = []
    for wrong in fixture["broken"]:
        document = json.loads(json.dumps(fixture["whole"]))
        *path, last = [int(part) if part.isdecimal() else part for part in wrong["at"].split("/")[1:]]
        parent = document
        for part in path:
            parent = parent[part]
        if "missing" in wrong:
            del parent[last]
        else:
            parent[last] = wrong["is"]
        if validator.is_valid(document):
            passed.append(wrong)
    check(f"schema: it is one of draft 2020-12, takes a whole report, and refuses {len(fixture['broken'])} broken ones",
          faults(validator, fixture["whole"]) + passed)
    told = subprocess.run([BINARY, "demo", "--output", "ndjson"], capture_output=True, text=True, timeout=60).stdout.splitlines()
    wrong = [fault for line in told for fault in faults(lines, json.loads(line))]
    check(f"schema: it describes the {len(told)} lines that the demo tells", wrong if len(told) > 5 else [told])


def judge_metrics(name, path):
    done = subprocess.run(["promtool", "check", "metrics"], stdin=path.open(), capture_output=True, text=True)
    said = done.stdout + done.stderr
    check(f"{name}: promtool accepts the metrics without a word", [] if done.returncode == 0 and not said else [said])


def look(browser, name, path):
    colours = {}
    said, asked, wide = [], [], []
    for scheme in ("light", "dark"):
        for width in (1280, 400):
            tab = browser.open(path, scheme, width)
            if os.environ.get("KEEP"):
                tab.picture(FOLDER / f"{name}-{scheme}-{width}.png")
            more_said, more_asked = tab.heard()
            said += more_said
            asked += [url for url in more_asked if not url.startswith(("file:", "data:"))]
            if (over := tab.run("document.documentElement.scrollWidth - innerWidth")) > 0:
                wide.append((scheme, width, over))
            colours[scheme] = tab.run("[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]")
            # Of the largest page that takes too long; it is made of the same parts.
            if width == 1280 and name != "5000":
                judge_access(tab, f"{name}: axe finds nothing in the {scheme} page")
            tab.close()
    check(f"{name}: the browser's console stays empty", said)
    check(f"{name}: the page asks for no address", asked)
    check(f"{name}: nothing is wider than the window, at 1280 and 400 pixels", wide)
    brightness = {scheme: [sum(map(int, re.findall(r"\d+", c)[:3])) for c in pair] for scheme, pair in colours.items()}
    (page, text), (dark_page, dark_text) = brightness["light"], brightness["dark"]
    check(f"{name}: it is dark on light, and light on dark where that is preferred",
          [] if page > 600 > 150 > text and dark_page < 150 < 600 < dark_text else [brightness])


def judge_access(tab, what):
    tab.run(AXE)
    found = tab.run("""axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(
        v => v.id + ': ' + v.nodes.slice(0, 2).map(n => n.html.slice(0, 120) + ' ' + n.failureSummary).join(' | ')))""")
    check(what, found)


def print_and_walk(browser, path):
    tab = browser.open(path)
    sheets = tab.sheets()
    check(f"45: printed it takes {sheets} sheets", [] if 1 < sheets < 12 else [sheets])
    first = []
    for _ in range(12):
        for kind in ("rawKeyDown", "keyUp"):
            tab.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        first.append(tab.run("document.activeElement.tagName + ' ' + (document.activeElement.getAttribute('href') || '')"))
    wanted = ["A #main", "A #failed"]
    check("45: the tab key goes to the report first, then through its sections", [] if first[:2] == wanted and len(set(first)) > 8 else first)
    tab.close()


def main():
    runs = {"1": many(1), "45": many(45), "5000": many(5000), "evil": evil()}
    with ThreadPoolExecutor() as pool:
        made = dict(zip(runs, pool.map(lambda name: make(name, *runs[name]), runs)))
    validator, lines = report_validators()
    judge_schema(validator, lines)
    for name, (files, report) in made.items():
        # The largest one takes long; it is made of the same parts.
        check(f"{name}: the report is as its schema says", faults(validator, report | {"media": report["media"][:500]}))
        tree = judge_page(name, files["html"])
        junit = judge_junit(name, files["xml"], report)
        judge_metrics(name, files["prom"])
        if name == "evil" and tree is not None:
            judge_texts(report, tree, junit)
    with Browser() as browser:
        for name, (files, _) in made.items():
            look(browser, name, files["html"])
        look(browser, "45-status", FOLDER / "45-status.html")
        print_and_walk(browser, made["45"][0]["html"])
    print(f"{COUNTS[True]} passed, {COUNTS[False]} failed")
    sys.exit(1 if COUNTS[False] else 0)


main()

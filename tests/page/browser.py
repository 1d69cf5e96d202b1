"""Chromium without a window, driven over its debugging socket: as little as the checks need."""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from websockets.sync.client import connect

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-port=0""".split()
# Longest wait for an answer, in seconds.
PATIENCE = 30


class Browser:
    """One process. Each `open` is a tab of its own."""

    def __enter__(self):
        self.profile = tempfile.mkdtemp()
        command = [shutil.which("chromium"), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"]
        self.log = open(os.path.join(self.profile, "log"), "w+")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.log)
        for _ in range(PATIENCE * 10):
            text = Path(self.log.name).read_text(errors="replace")
            if found := re.search(r"listening on (ws://\S+)", text):
                break
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        if not found:
            raise RuntimeError(f"Chromium did not start: {text[-2000:]}")
        self.socket = connect(found[1], max_size=None)
        self.last, self.events = 0, []
        return self

    def __exit__(self, *_):
        self.socket.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, session=None, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        self.socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads(self.socket.recv(PATIENCE))
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, session, method):
        while True:
            for event in self.events:
                if event.get("sessionId") == session and event["method"] == method:
                    return
            self.events.append(json.loads(self.socket.recv(PATIENCE)))

    def open(self, path, scheme="light", width=1280):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, target, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.call(f"{domain}.enable")
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        tab.media(scheme)
        tab.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_for(session, "Page.loadEventFired")
        return tab


class Tab:
    def __init__(self, browser, target, session):
        self.browser, self.target, self.session = browser, target, session

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def media(self, scheme, kind="screen"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=kind, features=features)

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"])[:500])
        return result["result"].get("value")

    def heard(self):
        """What the page said on the console, and the addresses that it asked for."""
        said, asked = [], []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            params = event["params"]
            match event["method"]:
                case "Runtime.consoleAPICalled":
                    said.append(str(params["args"]))
                case "Runtime.exceptionThrown":
                    said.append(params["exceptionDetails"]["text"])
                case "Log.entryAdded":
                    said.append(params["entry"]["text"])
                case "Network.requestWillBeSent":
                    asked.append(params["request"]["url"])
        return said, asked

    def picture(self, path):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12_000), "scale": 1}
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))

    def sheets(self):
        """How many sheets of paper it takes."""
        pdf = base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])
        return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)
        self.browser.events = [e for e in self.browser.events if e.get("sessionId") != self.session]

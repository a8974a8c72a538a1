"""Headless Chromium for tests, driven over its own debugging protocol: no driver to install.

    with Browser(folder) as browser:
        browser.open("http://127.0.0.1:5000")
        browser.wait("document.querySelector('table')")

The protocol: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import time

import aiohttp

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
# A page is to ask nobody but its server; the browser itself neither.
_ALONE = (
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-quic", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.*"),
)


class Browser:
    """One page. `faults` are the exceptions and error lines of its console so far."""

    def __init__(self, folder, width=1440, height=900):
        self.faults = []
        self._ids, self._loop = iter(range(1, 10**9)), asyncio.new_event_loop()
        profile = folder / "chromium"
        self._process = subprocess.Popen(
            [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *("--remote-debugging-port=0", f"--user-data-dir={profile}"),
                *(f"--window-size={width},{height}", *_ALONE, "about:blank"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._loop.run_until_complete(self._connect(profile / "DevToolsActivePort"))
            for domain in ("Page", "Runtime", "Log"):
                self.call(f"{domain}.enable")
            metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            self.call("Emulation.setDeviceMetricsOverride", **metrics)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def call(self, method, **params):
        """A command of the protocol; gives its result."""
        return self._loop.run_until_complete(self._call(method, params))

    def open(self, url):
        """Goes to a page, as if its address were typed."""
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression of JavaScript in the page."""
        told = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{script}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def wait(self, script, seconds=60.0):
        """Waits until an expression is true, and gives its value; what throws isn't, yet."""
        end = time.monotonic() + seconds
        plain = f"const v = {script}; return typeof v === 'object' ? Boolean(v) : v"  # no elements
        asked = f"(() => {{ try {{ {plain} }} catch {{ return null }} }})()"
        while not (value := self.run(asked)):
            if time.monotonic() > end:
                raise TimeoutError(f"{script}: not in {seconds:g} s; the page says:\n{self.text()}")
            time.sleep(0.1)
        return value

    def text(self):
        """What the page says."""
        return self.run("document.body?.innerText ?? ''")

    def says(self, text, seconds=60.0):
        """Waits until the page says something."""
        self.wait(f"document.body.innerText.includes({json.dumps(text)})", seconds)

    def picture(self, file):
        """A PNG of what is seen."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        file.write_bytes(base64.b64decode(data))

    def close(self):
        """Ends the browser."""
        if not self._loop.is_closed():
            if hasattr(self, "_session"):
                self._loop.run_until_complete(self._session.close())
            self._loop.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    async def _connect(self, port):
        while not port.exists() or len(port.read_text().splitlines()) < 2:
            if self._process.poll() is not None:
                raise RuntimeError(f"{CHROMIUM} ended at once")
            await asyncio.sleep(0.05)
        number = port.read_text().splitlines()[0]
        self._session = aiohttp.ClientSession()
        while True:
            async with self._session.get(f"http://127.0.0.1:{number}/json") as answer:
                pages = [p for p in await answer.json() if p["type"] == "page"]
            if pages:
                break
            await asyncio.sleep(0.05)
        where = pages[0]["webSocketDebuggerUrl"]
        self._socket = await self._session.ws_connect(where, max_msg_size=0)

    async def _call(self, method, params):
        number = next(self._ids)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=60)
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._hear(message)

    def _hear(self, message):
        what, params = message.get("method"), message.get("params", {})
        if what == "Runtime.exceptionThrown":
            self.faults.append(params["exceptionDetails"])
        elif what == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.faults.append(params["args"])
        elif what == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.faults.append(params["entry"])

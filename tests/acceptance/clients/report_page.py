"""Looks at a report in Chromium, as people do.

Usage: FILE FOLDER. Puts screenshots into the folder, and prints what it saw as JSON.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

VIEWS = {"light": (1280, "light"), "dark": (1280, "dark"), "narrow": (390, "light")}


def look(browser: Browser, file: Path, folder: Path, name: str) -> dict[str, Any]:
    """One view of the page."""
    width, scheme = VIEWS[name]
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    console: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("dialog", lambda dialog: (console.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.screenshot(path=folder / f"{name}.png", full_page=True)
    seen: dict[str, Any] = page.evaluate(
        """() => ({
            overflow: document.documentElement.scrollWidth - innerWidth,
            figures: Object.fromEntries([...document.querySelectorAll('dd[data-testid]')]
                .map(figure => [figure.dataset.testid, figure.textContent])),
            ground: getComputedStyle(document.body).backgroundColor,
            elements: [...new Set([...document.querySelectorAll('*')].map(element => element.localName))],
            text: document.body.innerText,
            charts: [...document.querySelectorAll('svg[role=img]')].every(chart => chart.getAttribute('aria-label')),
            drawn: document.querySelectorAll('svg rect').length,
        })"""
    )
    seen |= {"console": console, "requests": requests}
    seen["captions"] = page.evaluate(
        "() => [...document.querySelectorAll('table')].every(table => table.caption && table.caption.textContent)"
    )
    if name == "light":
        # Paper has no scroll bars: A4 without its margins.
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 718, "height": 1000})
        seen["cut"] = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
        page.emulate_media(media="screen")
        seen["pages"] = len(page.pdf(path=folder / "report.pdf"))
    page.close()
    return seen


def main() -> None:
    """All views."""
    file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        print(json.dumps({name: look(browser, file, folder, name) for name in VIEWS}))
        browser.close()


main()

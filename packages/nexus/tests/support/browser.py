"""Where tests and screenshots get a real Chromium: the machine's, or the one Playwright brought."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 860}}
PATIENCE_MS = 20_000
"""How long a page may take for anything, on a machine that others use, too."""

expect.set_options(timeout=PATIENCE_MS)

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 800},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}


def find_chromium() -> str | None:
    """Return the machine's Chromium; None leaves it to Playwright, which says what is missing."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser until the block ends."""
    async with async_playwright() as playwright:
        # Its own sandbox cannot be had as root in a container, where tests run as well.
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox"]
        )
        try:
            yield browser
        finally:
            await browser.close()


class Complaints(list[str]):
    """What pages wrote to the console as errors, and what their scripts did not catch."""

    def listen(self, page: Page) -> None:
        """Take in what this page complains about."""
        page.on("console", lambda said: self.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("dialog", self._dialog)

    async def _dialog(self, dialog: Any) -> None:
        self.append(f"a dialog opened: {dialog.message}")
        await dialog.dismiss()


@contextlib.asynccontextmanager
async def person(
    browser: Browser, url: str, link: str | None = None, **screen: Any
) -> AsyncIterator[tuple[Page, Complaints]]:
    """Open a page of somebody's own, signed in by a link; what it complains about is kept."""
    context: BrowserContext = await browser.new_context(base_url=url, **{**DESK, **screen})
    context.set_default_timeout(PATIENCE_MS)
    complaints = Complaints()
    context.on("page", complaints.listen)
    try:
        page = await context.new_page()
        if link is not None:
            await page.goto(link)
        yield page, complaints
    finally:
        await context.close()


async def opened(page: Page, path: str) -> None:
    """Open one of the Observer's pages, and wait until it is live."""
    await page.goto(path)
    await expect(page.locator("#live")).to_have_attribute("data-state", "on")

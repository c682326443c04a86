"""The built site: its pages, and what they link to."""

import os
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from support.documents import REPOSITORY


def build(directory):
    """Build the site strictly, and return what mkdocs says."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(directory)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stderr


class Article(HTMLParser):
    """What somebody reads on a page, without its navigation.

    Attributes:
        links: their targets.
        text: all of it.
    """

    def __init__(self, page):
        super().__init__()
        self.links, self.text, self._inside = [], "", False
        self.feed(Path(page).read_text())

    def handle_starttag(self, tag, attrs):
        if tag == "article":
            self._inside = True
        elif tag == "a" and self._inside:
            self.links += [value for name, value in attrs if name == "href"]

    def handle_endtag(self, tag):
        if tag == "article":
            self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.text += data


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Served:
    """The site at an address of this machine, for a ``with`` statement."""

    def __init__(self, directory):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self):
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

"""The built site: nothing comes from elsewhere, questions have answers near Home, and pages look right in a browser."""

import re
from collections import Counter, defaultdict
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import griffe
import pytest
from configuration_pages import groups

import gat_lightning
from gat_lightning.config.files import find_conf
from support.browser import PROGRAM, Browser
from support.built_site import Article, Served, build
from support.documents import REPOSITORY

pytestmark = pytest.mark.slow

CHECK = (Path(__file__).parents[1] / "support" / "page_faults.js").read_text()
WIDTHS = (1280, 390)
HEADING = re.compile(r'<h\d id="gat_lightning\.([\w.]+)" class="doc')
"""Of the documentation of a module, class, function or attribute."""

ANSWERS = {
    "should I use it": ("questions.html", "should I use GAT?"),
    "how do I install it": ("install.html", "make setup"),
    "how do I train on my pictures": ("engineer.html", "data=images"),
    "what does it cost": ("cost.html", "minutes"),
    "why did it stop": ("troubleshooting.html", "out of memory"),
    "how do I add a task": ("extend.html", "conf/task/"),
    "how do I cite it": ("cite.html", "@inproceedings"),
}
"""Questions of readers: the page with the answer, and words of it."""

FOUND_FIRST = {
    "cite": "cite.html",
    "troubleshooting": "troubleshooting.html",
    "epsilon": "glossary.html",
    "out of memory": "troubleshooting.html",
}
"""What is searched for, and the page of the first result."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Its folder, and what mkdocs said."""
    folder = tmp_path_factory.mktemp("site")
    return folder, build(folder)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("no Chromium is installed")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def test_it_builds_without_a_warning_and_needs_nothing_from_elsewhere(site):
    folder, said = site
    assert "WARNING" not in said
    pages = list(folder.rglob("*.html"))
    assert len(pages) > len(groups(find_conf()))
    for page in pages:
        text = page.read_text()
        fetched = re.findall(r"<(?:script|img|iframe|source)[^>]+src=\"?(https?:[^\s\">]+)", text)
        fetched += [tag for tag in re.findall(r"<link[^>]+>", text) if re.search(r"href=\"?https?:", tag)
                    and "stylesheet" in tag]  # fmt: skip
        assert not fetched, (page, fetched)


def test_each_class_and_function_of_the_api_is_on_one_page(site):
    folder, _ = site
    package = griffe.load("gat_lightning", search_paths=[REPOSITORY / "src"])
    headings = [name for page in folder.rglob("*.html") for name in HEADING.findall(page.read_text())]
    documented = [package[name] for name in headings]
    defined = [each.final_target.path if each.is_alias else each.path for each in documented]
    assert set(gat_lightning.__all__) <= set(headings)
    assert not [name for name, count in Counter(defined).items() if count > 1]


@pytest.mark.parametrize("question", ANSWERS)
def test_a_question_has_its_answer_two_clicks_from_home(site, question):
    folder, _ = site
    page, words = ANSWERS[question]
    first = linked(folder, {"index.html"})
    assert page in first | linked(folder, first)
    assert words.lower() in Article(folder / page).text.lower()


def linked(folder, pages):
    """Pages of the site that the text of these links to."""
    found = {urldefrag(urljoin(page, link))[0] for page in pages for link in Article(folder / page).links}
    return {each for each in found if each.endswith(".html") and (folder / each).is_file()}


def test_pages_look_right_on_a_screen_and_on_a_phone_by_day_and_by_night(site, browser):
    folder, _ = site
    faults, links, places = defaultdict(list), {}, {}
    with Served(folder) as served:
        for page in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.html")):
            if page == "404.html":  # its addresses begin with the path of the published site
                continue
            browser.forget()
            browser.open(served.address + page)
            for scheme in ("default", "slate"):
                browser.evaluate(f"document.querySelector('input[data-md-color-scheme={scheme}]').click()")
                browser.until(f"document.body.dataset.mdColorScheme == '{scheme}'")
                for width in WIDTHS:
                    browser.show(width)
                    faults[page] += [f"{width} px, {scheme}: {each}" for each in browser.evaluate(CHECK)]
            faults[page] += browser.errors
            faults[page] += [each for each in browser.requests if not each.startswith((served.address, "data:"))]
            links[page] = browser.evaluate("[...document.links].map(link => link.href)")
            places[page] = set(browser.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)"))
        for page, targets in links.items():
            faults[page] += [link for link in targets if broken(link, served.address, folder, places)]
    said = [f"{page}: {fault}" for page, found in faults.items() for fault in dict.fromkeys(found)]
    assert not said, "\n".join(said)


def broken(link, address, folder, places):
    """Whether a link within the site leads to nothing."""
    page, place = map(unquote, urldefrag(link.removeprefix(address)))
    page = page or "index.html"
    inside = link.startswith(address) and (not (folder / page).is_file() or (place and place not in places[page]))
    return bool(inside) and place != "__search"


@pytest.mark.parametrize("from_disk", [False, True], ids=["served", "from disk"])
def test_a_search_finds_the_right_page_first(site, browser, from_disk):
    folder, _ = site
    browser.show(WIDTHS[0])
    with Served(folder) as served:
        address = f"{folder.as_uri()}/" if from_disk else served.address
        found = {words: first_result(browser, f"{address}index.html", words) for words in FOUND_FIRST}
    assert found == FOUND_FIRST


def first_result(browser, page, words):
    browser.open(page)
    browser.evaluate("document.querySelector('input.md-search__input').focus()")
    browser.type(words)
    link = browser.until("document.querySelector('.md-search-result__link')?.href")
    return urldefrag(link)[0].partition("?")[0].rpartition("/")[2]

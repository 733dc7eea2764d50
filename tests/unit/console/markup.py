"""A page as a test reads it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx2


@dataclass
class Form:
    """A form with the values that it would send as it is."""

    method: str
    action: str
    values: dict[str, str] = field(default_factory=dict)


class Markup(HTMLParser):
    """A page: its forms, links and text."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag == "form":
            self.forms.append(Form(attributes.get("method", "get"), attributes["action"]))
        elif tag == "a":
            self.links.append(attributes["href"])
        elif tag == "input" and "name" in attributes and _is_sent(attributes):
            self.forms[-1].values[attributes["name"]] = attributes.get("value", "")
        elif tag == "textarea":
            self._textarea = attributes["name"]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._textarea:
            self.forms[-1].values[self._textarea] = data

    def form(self, action: str) -> Form:
        """Return the first form for an action."""
        (form, *_) = (form for form in self.forms if form.action == action)
        return form


def _is_sent(attributes: dict[str, str]) -> bool:
    """Whether a form that nobody touches sends the field; boxes are left out."""
    kind = attributes.get("type")
    return kind != "checkbox" and (kind != "radio" or "checked" in attributes)


def parse(response: httpx2.Response) -> Markup:
    markup = Markup()
    markup.feed(response.text)
    return markup

"""Write XML documents."""

from __future__ import annotations

import re
from xml.etree import ElementTree

_INVALID = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def add(parent: ElementTree.Element, tag: str, text: object = None, **attributes: str) -> ElementTree.Element:
    """Append a child element and return it; characters that XML forbids are replaced."""
    clean = {name: _INVALID.sub("_", value) for name, value in attributes.items()}
    child = ElementTree.SubElement(parent, tag, clean)
    if text is not None:
        child.text = _INVALID.sub("_", str(text))
    return child


def document(root: ElementTree.Element, doctype: str) -> str:
    """Return an indented document with its declaration."""
    ElementTree.indent(root, "  ")
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE {doctype}>\n{body}\n'

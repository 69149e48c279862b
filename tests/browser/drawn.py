"""Graphs in the page's own form, drawn from a few words and the host's definitions of its nodes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO"}
TITLE = 30


@dataclass
class Drawn:
    """A graph. info: the host's ``/object_info``. name: stands for it, always the same."""

    info: Mapping[str, Any]
    name: str
    nodes: list[dict[str, Any]] = field(default_factory=list)
    links: list[list[Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)

    def note(self, text: str, at: Sequence[int], size: Sequence[int]) -> None:
        """A note in Markdown."""
        node = self._node("MarkdownNote", at, size, None, {})
        self.nodes.append({**node, "widgets_values": [text], "color": "#432", "bgcolor": "#653"})

    def add(
        self, kind: str, at: Sequence[int], size: Sequence[int], title: str = "", **given: Any
    ) -> int:
        """A node; what is given by name is a value, or (node, output's name) for a link."""
        spec = self.info[kind]
        inputs = {**spec["input"].get("required", {}), **spec["input"].get("optional", {})}
        properties = {"Node name for S&R": kind, **given.pop("properties", {})}
        node = self._node(kind, at, size, title, properties)
        node["outputs"] = [
            {"name": name, "type": type_ if isinstance(type_, str) else "COMBO", "links": []}
            for name, type_ in zip(spec["output_name"], spec["output"], strict=True)
        ]
        self.nodes.append(node)
        for name, (type_, *options) in inputs.items():
            about = options[0] if options else {}
            widget = isinstance(type_, list) or type_ in WIDGETS
            if widget and not about.get("forceInput"):
                value = given.get(name, about.get("default"))
                self._widget(node, name, type_, about, value)
            else:
                optional = name in spec["input"].get("optional", {})
                self._input(node, name, type_, given.get(name), optional)
        return int(node["id"])

    def _node(
        self, kind: str, at: Sequence[int], size: Sequence[int], title: str | None, about: Any
    ) -> dict[str, Any]:
        number = len(self.nodes) + 1
        node = {
            "id": number, "type": kind, "pos": list(at), "size": list(size), "flags": {},
            "order": number - 1, "mode": 0, "inputs": [], "outputs": [], "properties": about,
            "widgets_values": [],
        }  # fmt: skip
        return {**node, "title": title} if title else node

    def _widget(self, node: dict[str, Any], name: str, type_: Any, about: Any, value: Any) -> None:
        if isinstance(value, tuple):
            kind = "COMBO" if isinstance(type_, list) else type_
            self._input(node, name, kind, value, False, widget=True)
            value = about.get("default")
        node["widgets_values"].append(value)
        if about.get("control_after_generate"):
            node["widgets_values"].append("fixed")
        if about.get("image_upload"):
            node["widgets_values"].append("image")

    def _input(
        self, node: dict[str, Any], name: str, type_: str, value: Any, optional: bool,
        widget: bool = False,
    ) -> None:  # fmt: skip
        slot: dict[str, Any] = {"name": name, "type": type_, "link": None}
        slot |= {"shape": 7} if optional else {}
        slot |= {"widget": {"name": name}} if widget else {}
        node["inputs"].append(slot)
        if value is None:
            return
        source = next(each for each in self.nodes if each["id"] == value[0])
        at = [each["name"] for each in source["outputs"]].index(value[1])
        link = len(self.links) + 1
        slot["link"] = link
        source["outputs"][at]["links"].append(link)
        kind = source["outputs"][at]["type"]
        self.links.append([link, source["id"], at, node["id"], len(node["inputs"]) - 1, kind])

    def graph(self, **extra: Any) -> dict[str, Any]:
        """What the page loads."""
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"refdiff/{self.name}")), "revision": 0,
            "last_node_id": len(self.nodes), "last_link_id": len(self.links),
            "nodes": self.nodes, "links": self.links, "groups": self.groups, "config": {},
            "extra": extra, "version": 0.4,
        }  # fmt: skip

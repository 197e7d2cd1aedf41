"""A small Hugging Face Hub that misbehaves on demand: the parts of its HTTP API that `huggingface_hub` uses.

Who am I, creating a repository, preupload, LFS batch and transfer, commit, settings, tag, tree, paths, resolve. Point a
process at it by `Hub.environment`. Every request is remembered; a fault of an operation is used up by one request.
"""

# ruff: noqa: ARG002  # operations share a signature

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from tests.http_server import QuietHandler, listening
from tests.hub_repositories import Fault, Repo, entry, git_oid, in_lfs, listing

TOKEN = "hf_" + "ThisIsNoRealToken"
USER = "someone"
_ROUTES = {
    ("GET", r"/api/whoami-v2"): "whoami",
    ("POST", r"/api/repos/create"): "create",
    ("POST", r"/api/validate-yaml"): "validate",
    ("POST", r"/api/(?P<kind>datasets|models|spaces)/(?P<repo>[^/]+/[^/]+)/preupload/(?P<revision>[^/]+)"): "preupload",
    ("POST", r"/(?P<kind>datasets/|spaces/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch"): "batch",
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})"): "put",
    ("POST", r"/api/(?P<kind>datasets|models|spaces)/(?P<repo>[^/]+/[^/]+)/commit/(?P<revision>[^/]+)"): "commit",
    ("PUT", r"/api/(?P<kind>datasets|models|spaces)/(?P<repo>[^/]+/[^/]+)/settings"): "settings",
    ("POST", r"/api/(?P<kind>datasets|models|spaces)/(?P<repo>[^/]+/[^/]+)/tag/(?P<revision>[^/]+)"): "tag",
    ("GET", r"/api/(?P<kind>datasets|models|spaces)/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?"): "info",
    (
        "GET",
        r"/api/(?P<kind>datasets|models|spaces)/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)(/(?P<path>.+))?",
    ): "tree",
    ("POST", r"/api/(?P<kind>datasets|models|spaces)/(?P<repo>[^/]+/[^/]+)/paths-info/(?P<revision>[^/]+)"): "paths",
    ("*", r"/(?P<kind>datasets/|spaces/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"): "resolve",
}


@dataclass
class Hub:
    """What is stored, what was asked, and what goes wrong next."""

    port: int = 0
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)  # operation, path
    received_bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # of whole LFS files, by oid
    faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, operation: str, *faults: Fault) -> None:
        self.faults[operation].extend(faults)

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _ in self.requests)

    def environment(self, home: str) -> dict[str, str]:
        """Variables of a process that takes this for the Hub; its cache is in the folder `home`."""
        return {
            "HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN, "HF_HOME": home,
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip


@contextmanager
def serve() -> Iterator[Hub]:
    """A Hub without repositories, for as long as the `with` lasts."""
    hub = Hub()
    with listening(type("Handler", (_Handler,), {"hub": hub})) as hub.port:
        yield hub


class _Handler(QuietHandler):
    disable_nagle_algorithm = True
    hub: Hub
    lost = False

    def do_GET(self) -> None:  # noqa: N802  # the base class's name
        path = unquote(self.path.partition("?")[0])
        for (method, pattern), operation in _ROUTES.items():
            found = re.fullmatch(pattern, path)
            if found and (method == self.command or (method == "*" and self.command in {"GET", "HEAD"})):
                self._serve(operation, path, found.groupdict())
                return
        self._refuse(404, "no such page", {"X-Error-Code": "EntryNotFound"})

    do_POST = do_PUT = do_HEAD = do_GET  # noqa: N815  # the base class's names

    def _serve(self, operation: str, path: str, parts: dict[str, str | None]) -> None:
        hub = self.hub
        with hub.lock:
            hub.requests.append((operation, path))
            fault = hub.faults[operation].popleft() if hub.faults[operation] else None
        length = int(self.headers.get("Content-Length") or 0)
        if fault is not None and fault.break_after is not None:
            self.rfile.read(min(length, fault.break_after))
            self.close_connection = True
            self.connection.close()
            return
        body = self._body(length)
        self.lost = fault is not None and fault.lose_answer
        if fault is not None and fault.status is not None:
            self._refuse(fault.status, fault.text, fault.headers)
            return
        # What is uploaded goes to an address that needs no other right than to know it, as with the real Hub's.
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        repo = self._repo(parts) if "repo" in parts else None
        if operation not in {"put", "resolve", "info", "tree", "paths"} and not known:
            self._refuse(401, "Invalid username or password.", {})
        elif "repo" in parts and (repo is None or (repo.private and not known)):
            self._refuse(401, "Repository not found", {"X-Error-Code": "RepoNotFound"})
        else:
            getattr(self, f"_{operation}")(parts, body, repo)

    def _body(self, length: int) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(length)
        blocks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            blocks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(blocks)

    def _repo(self, parts: Mapping[str, str | None]) -> Repo | None:
        kind = (parts.get("kind") or "models").rstrip("/").removesuffix("s")
        return self.hub.repos.get((kind, str(parts["repo"])))

    def _answer(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        if self.lost:
            self.close_connection = True
            self.connection.close()
            return
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        for name, text in given.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        self._answer({"error": text}, status, {"X-Error-Message": text, **headers})

    def _whoami(self, parts: object, body: bytes, repo: None) -> None:
        self._answer({"type": "user", "name": USER, "orgs": [], "auth": {"type": "access_token"}})

    def _create(self, parts: object, body: bytes, repo: None) -> None:
        given = json.loads(body)
        kind, name = given.get("type", "model"), f"{given.get('organization') or USER}/{given['name']}"
        url = f"{self.hub.url}/{'' if kind == 'model' else f'{kind}s/'}{name}"
        with self.hub.lock:
            there = (kind, name) in self.hub.repos
            private = given.get("visibility") == "private" or bool(given.get("private"))
            self.hub.repos.setdefault((kind, name), Repo(private))
        self._answer({"url": url, "error": "exists"} if there else {"url": url}, 409 if there else 200)

    def _validate(self, parts: object, body: bytes, repo: None) -> None:
        self._answer({"errors": [], "warnings": []})

    def _preupload(self, parts: object, body: bytes, repo: Repo) -> None:
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if in_lfs(file["path"], file["size"]) else "regular",
                "shouldIgnore": False,
                "oid": git_oid(file["path"], repo.files[file["path"]]) if file["path"] in repo.files else None,
            }
            for file in json.loads(body)["files"]
        ]
        self._answer({"files": modes})

    def _batch(self, parts: object, body: bytes, repo: Repo) -> None:
        objects = []
        for wanted in json.loads(body)["objects"]:
            oid = wanted["oid"]
            actions = {} if oid in self.hub.blobs else {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{oid}"}}}
            objects.append({**wanted, **actions})
        self._answer({"transfer": "basic", "objects": objects})

    def _put(self, parts: Mapping[str, str], body: bytes, repo: None) -> None:
        if hashlib.sha256(body).hexdigest() != parts["oid"]:
            self._refuse(400, "the content is another", {})
            return
        with self.hub.lock:
            self.hub.blobs[parts["oid"]] = body
            self.hub.received_bytes[parts["oid"]] += len(body)
        self._answer(b"")

    def _commit(self, parts: Mapping[str, str], body: bytes, repo: Repo) -> None:
        files = dict(repo.files)
        header: dict[str, Any] = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                header = value
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.hub.blobs:
                    self._refuse(400, f"{value['path']}: its content has not been uploaded", {})
                    return
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
        with self.hub.lock:
            if header.get("parentCommit") not in {None, repo.commits[-1][0]}:
                self._refuse(412, "A commit has happened since. Please refresh and try again.", {})
                return
            name = hashlib.sha1(repr((len(repo.commits), sorted(files))).encode()).hexdigest()
            repo.commits.append((name, files))
        url = f"{self.hub.url}/{parts['kind']}/{parts['repo']}/commit/{name}"
        self._answer({"success": True, "commitOid": name, "commitUrl": url.replace("/models/", "/")})

    def _settings(self, parts: Mapping[str, str], body: bytes, repo: Repo) -> None:
        with self.hub.lock:
            repo.gated = json.loads(body).get("gated", repo.gated)
        self._answer({})

    def _tag(self, parts: Mapping[str, str], body: bytes, repo: Repo) -> None:
        commit, name = self._found(repo, parts), json.loads(body)["tag"]
        if commit is None:
            return
        with self.hub.lock:
            there = name in repo.tags
            repo.tags.setdefault(name, commit[0])
        if there:
            self._refuse(409, f"Tag {name} already exists", {})
        else:
            self._answer({})

    def _info(self, parts: Mapping[str, str], body: bytes, repo: Repo) -> None:
        commit = self._found(repo, parts)
        if commit is not None:
            siblings = [{"rfilename": path} for path in sorted(commit[1])]
            self._answer({"id": parts["repo"], "sha": commit[0], "private": repo.private, "siblings": siblings,
                          "gated": repo.gated, "tags": [], "downloads": 0, "likes": 0})  # fmt: skip

    def _tree(self, parts: Mapping[str, str], body: bytes, repo: Repo) -> None:
        commit = self._found(repo, parts)
        if commit is None:
            return
        below = f"{parts['path'].rstrip('/')}/" if parts["path"] else ""
        everything = "recursive=true" in self.path.lower()
        entries = listing(commit[1], below, everything=everything)
        if below and not entries:
            self._refuse(404, "no such folder", {"X-Error-Code": "EntryNotFound"})
        else:
            self._answer(entries)

    def _paths(self, parts: Mapping[str, str], body: bytes, repo: Repo) -> None:
        commit = self._found(repo, parts)
        if commit is None:
            return
        entries = []
        for path in json.loads(body)["paths"]:
            if path in commit[1]:
                entries.append(entry(path, commit[1][path]))
            elif any(name.startswith(f"{path}/") for name in commit[1]):
                entries.append({"type": "directory", "path": path, "oid": "0" * 40, "size": 0})
        self._answer(entries)

    def _resolve(self, parts: Mapping[str, str], body: bytes, repo: Repo) -> None:
        commit = self._found(repo, parts)
        if commit is None:
            return
        name, files = commit
        path = parts["path"]
        if path not in files:
            self._refuse(404, "Entry not found", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": name})
            return
        content, status = files[path], 200
        headers = {"ETag": f'"{git_oid(path, content)}"', "X-Repo-Commit": name, "Accept-Ranges": "bytes",
                   "Content-Type": "application/octet-stream"}  # fmt: skip
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if wanted:
            start, end = int(wanted[1]), min(int(wanted[2] or len(content) - 1), len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            content, status = content[start : end + 1], 206
        self._answer(content, status, headers)

    def _found(self, repo: Repo, parts: Mapping[str, str]) -> tuple[str, dict[str, bytes]] | None:
        commit = repo.at(parts.get("revision"))
        if commit is None:
            self._refuse(404, "Revision not found", {"X-Error-Code": "RevisionNotFound"})
        return commit

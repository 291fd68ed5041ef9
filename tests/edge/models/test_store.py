import datetime as dt
import fcntl
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from edge.detector.description import Layout
from edge.errors import ModelError
from edge.models.download import Wanted, download, new_client, receive
from edge.models.manifest import Entry, Manifest, published
from edge.models.store import ModelStore, State, default_folder
from tests.support.file_server import FileServer

CONTENT = bytes(range(256)) * 8_000
LICENCE = {"spdx": "Apache-2.0", "url": "https://example.org/licence"}
STRICT = {"spdx": "AGPL-3.0-only", "url": "https://example.org/agpl", "needs_consent": True}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def silent(done: int, total: int | None) -> None:
    """No one watches this download."""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer(CONTENT) as running:
        yield running


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with new_client() as opened:
        yield opened


def entry(server: FileServer, **changes: object) -> Entry:
    known = {
        "name": "tiny",
        "url": f"{server.url}/model.onnx",
        "bytes": len(CONTENT),
        "sha256": sha256(CONTENT),
        "licence": LICENCE,
        "description": {"layout": "yolox-grid", "person_class": 0},
    }
    return Entry.model_validate({**known, **changes})


def store_of(folder: Path, *entries: Entry) -> ModelStore:
    return ModelStore(folder=folder / "models", manifest=Manifest(models=entries))


def leftovers(store: ModelStore) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_pull_installs_the_file_whole_and_leaves_nothing_else(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    store = store_of(tmp_path, entry(server))
    steps: list[tuple[int, int | None]] = []
    path = store.pull("tiny", client=client, report=lambda done, total: steps.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert leftovers(store) == ["tiny.onnx"]
    assert steps[0] == (0, len(CONTENT))
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert [each.state for each in store.verify()] == [State.WHOLE]


def test_second_pull_of_a_whole_file_asks_nobody(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    store = store_of(tmp_path, entry(server))
    store.pull("tiny", client=client, report=silent)
    store.pull("tiny", client=client, report=silent)
    assert len(server.behaviour.requests) == 1


def test_redirects_of_release_pages_are_followed(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    store = store_of(tmp_path, entry(server, url=f"{server.url}/moved"))
    assert store.pull("tiny", client=client, report=silent).read_bytes() == CONTENT


def cut(store: ModelStore, server: FileServer, client: httpx.Client, after: int = 700_000) -> None:
    """A first attempt that breaks off."""
    server.behaviour.cut_after = after
    with pytest.raises(ModelError, match=r"broke off after [\d,]+ bytes.*Run the same command again to continue"):
        store.pull("tiny", client=client, report=silent)
    server.behaviour.cut_after = None
    assert not (store.folder / "tiny.onnx").exists()


def test_cut_download_continues_where_it_stopped(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    store = store_of(tmp_path, entry(server))
    cut(store, server, client)
    have = (store.folder / "tiny.onnx.part").stat().st_size
    assert store.pull("tiny", client=client, report=silent).read_bytes() == CONTENT
    assert 0 < have <= 700_000
    assert server.behaviour.requests[-1][1] == f"bytes={have}-"
    assert leftovers(store) == ["tiny.onnx"]


MISBEHAVING = {
    "a server that ignores ranges": {"knows_ranges": False},
    "a server that gives no validator": {"gives_validator": False},
}


@pytest.mark.parametrize("case", MISBEHAVING)
def test_cut_download_ends_well_with(case: str, tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    for name, value in MISBEHAVING[case].items():
        setattr(server.behaviour, name, value)
    store = store_of(tmp_path, entry(server))
    cut(store, server, client)
    assert store.pull("tiny", client=client, report=silent).read_bytes() == CONTENT


@pytest.mark.parametrize("heeds", [True, False], ids=["server heeds If-Range", "server ignores If-Range"])
def test_file_that_changed_in_between_is_never_glued(
    heeds: bool, tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    """Without a published checksum only the validator can tell."""
    server.behaviour.heeds_validator = heeds
    store = store_of(tmp_path, entry(server, sha256=None, bytes=None))
    cut(store, server, client)
    other = CONTENT[::-1]
    server.behaviour.content = other
    assert store.pull("tiny", client=client, report=silent).read_bytes() == other


def test_without_validator_and_checksum_a_cut_download_begins_anew(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    server.behaviour.gives_validator = False
    store = store_of(tmp_path, entry(server, sha256=None, bytes=None))
    cut(store, server, client)
    store.pull("tiny", client=client, report=silent)
    assert server.behaviour.requests[-1][1] == ""


def test_part_from_another_address_is_not_continued(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    cut(store_of(tmp_path, entry(server)), server, client)
    moved = store_of(tmp_path, entry(server, url=f"{server.url}/elsewhere.onnx"))
    assert moved.pull("tiny", client=client, report=silent).read_bytes() == CONTENT
    assert server.behaviour.requests[-1] == ("/elsewhere.onnx", "")


def test_part_that_is_complete_already_is_installed(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    """A crash between the last byte and the rename."""
    for size in (len(CONTENT), None):
        store = store_of(tmp_path, entry(server, bytes=size))
        cut(store, server, client)
        (store.folder / "tiny.onnx.part").write_bytes(CONTENT)
        path = store.pull("tiny", client=client, report=silent)
        assert path.read_bytes() == CONTENT
        path.unlink()


def test_wrong_checksum_is_refused_removed_and_explained(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    server.behaviour.content = bytes(len(CONTENT))
    store = store_of(tmp_path, entry(server))
    with pytest.raises(ModelError) as caught:
        store.pull("tiny", client=client, report=silent)
    message = str(caught.value)
    assert sha256(CONTENT) in message
    assert sha256(bytes(len(CONTENT))) in message
    assert "nothing was installed" in message
    assert leftovers(store) == []


def test_server_with_another_size_is_refused_before_anything_is_fetched(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    server.behaviour.content = CONTENT + b"more"
    store = store_of(tmp_path, entry(server))
    with pytest.raises(ModelError, match=r"offers 2,048,004 bytes, the manifest says 2,048,000"):
        store.pull("tiny", client=client, report=silent)


def test_missing_file_on_the_server_is_named(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    server.behaviour.status = 404
    with pytest.raises(ModelError, match=r"/model\.onnx: the server answers 404 Not Found"):
        store_of(tmp_path, entry(server)).pull("tiny", client=client, report=silent)


def test_server_that_is_not_there_is_named(tmp_path: Path, client: httpx.Client) -> None:
    with FileServer(CONTENT) as gone:
        entry_of_gone = entry(gone)
    with pytest.raises(ModelError, match=r"http://127\.0\.0\.1:\d+/model\.onnx: the download broke off after 0 bytes"):
        store_of(tmp_path, entry_of_gone).pull("tiny", client=client, report=silent)


def test_file_that_does_not_fit_the_disk_is_refused_before_it_fills_it(
    tmp_path: Path, server: FileServer, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("edge.models.download.shutil.disk_usage", lambda _: usage)
    with pytest.raises(ModelError, match=r"2,048,000 bytes are needed and 1,000,000 are free"):
        store_of(tmp_path, entry(server)).pull("tiny", client=client, report=silent)


def test_disk_that_fills_meanwhile_is_told_with_what_to_do(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    part = tmp_path / "tiny.onnx.part"
    part.symlink_to("/dev/full")
    wanted = Wanted(url=f"{server.url}/model.onnx", bytes=len(CONTENT), sha256=sha256(CONTENT))
    with pytest.raises(ModelError, match=r"No space left on device; make room and run the same command again"):
        download(wanted, part, client=client, report=silent)
    with pytest.raises(ModelError, match=r"No space left on device"):
        receive(iter([CONTENT]), part, total=None, report=silent)


def test_two_pulls_of_one_model_do_not_write_into_each_other(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    store = store_of(tmp_path, entry(server))
    store.folder.mkdir()
    with (store.folder / "tiny.onnx.part").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another pull is writing it"):
            store.pull("tiny", client=client, report=silent)


def test_folder_that_cannot_be_made_is_named(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ModelError, match=r"tiny\.onnx\.part: cannot be written"):
        store_of(tmp_path, entry(server)).pull("tiny", client=client, report=silent)


def test_entry_without_checksum_is_pinned_at_its_first_pull(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    open_entry = entry(server, sha256=None, bytes=None)
    store = store_of(tmp_path, open_entry)
    assert store.checksum(open_entry) is None
    path = store.pull("tiny", client=client, report=silent)
    assert store.checksum(open_entry) == sha256(CONTENT)
    path.unlink()
    server.behaviour.content = CONTENT[::-1]
    with pytest.raises(ModelError, match="wrong checksum"):
        store.pull("tiny", client=client, report=silent)


def test_file_carried_here_is_installed_under_the_same_check(tmp_path: Path, server: FileServer) -> None:
    store = store_of(tmp_path, entry(server))
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_bytes(CONTENT)
    wrong.write_bytes(CONTENT[:-1])
    with pytest.raises(
        ModelError, match=r"wrong: wrong checksum: expected sha256 \w+, found \w+; nothing was installed"
    ):
        store.install("tiny", source=wrong, report=silent)
    assert leftovers(store) == []
    assert wrong.read_bytes() == CONTENT[:-1]
    assert store.install("tiny", source=right, report=silent).read_bytes() == CONTENT
    assert server.behaviour.requests == []
    with pytest.raises(ModelError, match=r"absent: cannot be read: No such file"):
        store.install("tiny", source=tmp_path / "absent", report=silent)


def test_file_carried_here_after_a_cut_download_never_becomes_part_of_it(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    store = store_of(tmp_path, entry(server))
    cut(store, server, client)
    part = store.folder / "tiny.onnx.part"
    receive(iter([b"the beginning of something else"]), part, total=None, report=silent)
    assert store.pull("tiny", client=client, report=silent).read_bytes() == CONTENT


def test_verify_finds_the_file_that_changed(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    store = store_of(tmp_path, entry(server))
    path = store.pull("tiny", client=client, report=silent)
    with path.open("r+b") as file:
        file.seek(100_000)
        file.write(b"\xff\xfe")
    (checked,) = store.verify()
    assert checked.state is State.CHANGED
    assert checked.expected == sha256(CONTENT)
    with pytest.raises(ModelError, match=r"tiny\.onnx: wrong checksum.*pull the model again"):
        store.resolve("tiny")


def test_licence_is_accepted_once_and_again_when_it_changes(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    store = store_of(tmp_path, entry(server, licence=STRICT))
    with pytest.raises(ModelError, match=r"AGPL-3\.0-only .*footfall models pull tiny --accept-licence"):
        store.pull("tiny", client=client, report=silent)
    assert server.behaviour.requests == []
    store.accept_licence("tiny", on=dt.date(2026, 7, 1))
    store.pull("tiny", client=client, report=silent)
    assert 'accepted = "2026-07-01"' in (store.folder / "licences.toml").read_text()
    assert store_of(tmp_path, entry(server, licence=STRICT)).permits("tiny")
    assert not store_of(tmp_path, entry(server, licence={**STRICT, "spdx": "SSPL-1.0"})).permits("tiny")


def test_names_and_paths_resolve_to_a_file_and_what_is_known_of_it(
    tmp_path: Path, server: FileServer, client: httpx.Client
) -> None:
    store = store_of(tmp_path, entry(server))
    installed = store.pull("tiny", client=client, report=silent)
    path, description = store.resolve("tiny")
    assert (path, description.layout) == (installed, Layout.YOLOX_GRID)
    copy, stranger = tmp_path / "copy.onnx", tmp_path / "stranger.onnx"
    copy.write_bytes(CONTENT)
    stranger.write_bytes(b"another")
    assert store.resolve(str(copy)).description.layout is Layout.YOLOX_GRID
    assert store.resolve(str(stranger)).description.layout is None


def test_pytorch_weights_wait_for_their_export(tmp_path: Path, server: FileServer, client: httpx.Client) -> None:
    weights = entry(server, kind="pytorch", note="export to ONNX with its own package")
    store = store_of(tmp_path, weights)
    assert store.pull("tiny", client=client, report=silent).name == "tiny.pt"
    with pytest.raises(ModelError, match="fetched but not exported; export to ONNX with its own package, and lay"):
        store.resolve("tiny")
    (store.folder / "tiny.onnx").write_bytes(b"an export")
    assert store.resolve("tiny").path == store.folder / "tiny.onnx"
    with pytest.raises(ModelError, match=r"tiny\.pt: PyTorch weights can't serve"):
        store.resolve(str(store.folder / "tiny.pt"))


UNRESOLVED = {
    "a slip of the pen": ("tinny", r"no model 'tinny'; did you mean tiny\? Installed: none"),
    "a name out of nowhere": ("qqqq", r"no model 'qqqq'; known are tiny, pack\. Installed: none"),
    "not installed": ("tiny", "tiny is not installed: footfall models pull tiny"),
    "no such path": ("some/where.onnx", r"some/where\.onnx: there is no such file"),
    "an archive": ("pack", "pack is no detector"),
}


@pytest.mark.parametrize("case", UNRESOLVED)
def test_what_cannot_be_resolved_says_what_to_do(case: str, tmp_path: Path, server: FileServer) -> None:
    name, message = UNRESOLVED[case]
    store = store_of(tmp_path, entry(server), entry(server, name="pack", kind="archive"))
    with pytest.raises(ModelError, match=message):
        store.resolve(name)


def test_broken_notes_are_named(tmp_path: Path, server: FileServer) -> None:
    store = store_of(tmp_path, entry(server, licence=STRICT))
    store.folder.mkdir()
    (store.folder / "licences.toml").write_text("[tiny\n")
    with pytest.raises(ModelError, match=r"licences\.toml: cannot be read: .*repair or remove it"):
        store.permits("tiny")


def test_folder_is_the_setting_or_the_users_own() -> None:
    assert default_folder({"FOOTFALL_MODELS": "/srv/models"}) == Path("/srv/models")
    assert default_folder({}).parts[-2:] == ("footfall", "models")


@pytest.mark.assets
def test_real_file_of_another_export_is_refused_under_the_published_name(assets: Path, tmp_path: Path) -> None:
    """The file is YOLOX-Nano indeed, but not the published bytes."""
    store = ModelStore(folder=tmp_path, manifest=published())
    with pytest.raises(ModelError, match="wrong checksum"):
        store.install("yolox-nano", source=assets / "models" / "yolox_nano.onnx", report=silent)
    assert leftovers(store) == []

"""install.py: what it says, and its downloads, from a server on this machine."""

import contextlib
import functools
import hashlib
import importlib.util
import os
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture(scope="module")
def install():
    spec = importlib.util.spec_from_file_location("refdiff_install", ROOT / "install.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT with ranges; breaks off after ``plan.stop`` bytes, once."""

    def __init__(self, plan, *args):
        self.plan = plan
        super().__init__(*args)

    def do_GET(self):
        start = int(self.headers.get("Range", "bytes=0-")[6:-1]) if self.plan.ranges else 0
        self.plan.starts.append(start)
        if self.plan.leads_to:
            self.send_response(302)
            self.send_header("Location", self.plan.leads_to)
            self.end_headers()
            return
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if self.plan.length is not None:
            self.send_header("Content-Length", self.plan.length or str(len(CONTENT) - start))
        self.end_headers()
        stop, self.plan.stop = self.plan.stop, None
        with contextlib.suppress(ConnectionError):  # the other end has seen enough
            self.wfile.write(CONTENT[start:stop] * self.plan.times)
        if stop and self.plan.cut:  # closed with data on the way: the other end sees a reset
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, *_):
        pass


@pytest.fixture
def plan():
    return SimpleNamespace(
        stop=None, cut=False, ranges=True, starts=[], leads_to="", length="", times=1
    )


@pytest.fixture
def model(install, plan):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, plan))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/model.pth"
    digest = hashlib.sha256(CONTENT).hexdigest()
    yield install.Model("sams", "model.pth", 5, url, digest, "MIT")
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_whole(install, model, tmp_path):
    path = install.download(model, tmp_path)
    assert path == tmp_path / "sams" / "model.pth"
    assert path.read_bytes() == CONTENT
    assert [each.name for each in path.parent.iterdir()] == ["model.pth"]


def test_what_is_there_is_not_fetched_again(install, model, plan, tmp_path):
    install.download(model, tmp_path)
    install.download(model, tmp_path)
    assert plan.starts == [0]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_off_download_goes_on_where_it_can(install, model, plan, tmp_path, ranges):
    plan.stop, plan.ranges = 3_000_000, ranges
    with pytest.raises(install.DownloadError, match="run the same command again"):
        install.download(model, tmp_path)
    assert not (tmp_path / "sams" / "model.pth").exists()
    assert install.download(model, tmp_path).read_bytes() == CONTENT
    assert plan.starts == [0, 3_000_000 if ranges else 0]


def test_a_download_that_ended_before_its_check_is_checked(install, model, tmp_path):
    (tmp_path / "sams").mkdir()
    (tmp_path / "sams" / "model.pth.part").write_bytes(CONTENT)
    assert install.download(model, tmp_path).read_bytes() == CONTENT


def test_another_file_than_expected_is_removed(install, model, tmp_path):
    from dataclasses import replace

    with pytest.raises(install.DownloadError, match="not the expected file"):
        install.download(replace(model, sha256="0" * 64), tmp_path)
    assert list((tmp_path / "sams").iterdir()) == []


def test_a_full_disk_is_named(install, model, tmp_path, monkeypatch):
    usage = SimpleNamespace(free=1_000_000)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(install.DownloadError, match="4 MB are needed, 0 MB are free"):
        install.download(model, tmp_path)


def test_a_disk_that_fills_up_meanwhile_is_named(install, model, tmp_path, monkeypatch):
    def fill(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install, "_copy", fill)
    with pytest.raises(install.DownloadError, match=r"could not be written .*No space left"):
        install.download(model, tmp_path)
    assert not (tmp_path / "sams" / "model.pth").exists()


@pytest.mark.skipif(os.name == "nt", reason="no right to make links")
def test_a_link_in_place_of_the_part_is_not_followed(install, model, tmp_path):
    (tmp_path / "sams").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "sams/model.pth.part").symlink_to(tmp_path / "precious")
    assert install.download(model, tmp_path).read_bytes() == CONTENT
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize("length", ["abc", "-5", "\u00b2", None])
def test_a_length_that_is_none_is_done_without(install, model, plan, tmp_path, length):
    plan.length = length
    assert install.download(model, tmp_path).read_bytes() == CONTENT


def test_what_has_no_end_is_not_taken_to_the_last_byte(install, model, plan, tmp_path):
    plan.length, plan.times = None, 20
    with pytest.raises(install.DownloadError, match="longer than the model"):
        install.download(model, tmp_path)
    assert (tmp_path / "sams/model.pth.part").stat().st_size <= 2 * len(CONTENT)


def test_another_file_or_a_folder_in_the_models_place_is_told(install, model, plan, tmp_path):
    target = tmp_path / "sams/model.pth"
    target.mkdir(parents=True)
    with pytest.raises(install.DownloadError, match="Move it away"):
        install.download(model, tmp_path)
    target.rmdir()
    target.write_bytes(b"something else")
    with pytest.raises(install.DownloadError, match="Move it away"):
        install.download(model, tmp_path)
    assert target.read_bytes() == b"something else" and not plan.starts


@pytest.mark.parametrize("place", ["http://[bad", "ftp://example.org/m", "file:///etc/passwd"])
def test_a_redirect_that_leads_nowhere_is_told(install, model, plan, tmp_path, place):
    plan.leads_to = place
    with pytest.raises(install.DownloadError):
        install.download(model, tmp_path)
    assert not list((tmp_path / "sams").iterdir())


def test_a_refused_range_of_nothing_is_told(install, model, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "CONTENT", b"")
    with pytest.raises(install.DownloadError, match="416"):
        install.download(model, tmp_path)


def test_a_connection_that_is_cut_is_no_matter_of_the_disk(install, model, plan, tmp_path):
    plan.stop, plan.cut = 3_000_000, True
    with pytest.raises(install.DownloadError, match="could not be fetched"):
        install.download(model, tmp_path)
    assert install.download(model, tmp_path).read_bytes() == CONTENT
    assert plan.starts[1] <= 3_000_000


def test_no_server_is_named(install, tmp_path):
    model = install.Model("sams", "m", 1, "http://127.0.0.1:9/m", "0" * 64, "MIT")
    with pytest.raises(install.DownloadError, match="could not be fetched"):
        install.download(model, tmp_path)


def test_only_https_is_fetched_from_elsewhere(install, tmp_path):
    model = install.Model("sams", "m", 1, "http://example.org/m", "0" * 64, "MIT")
    with pytest.raises(install.DownloadError, match="not https"):
        install.download(model, tmp_path)
    assert all(each.url.startswith("https://") for each in install.MODELS.values())


def test_the_report_names_place_size_address_and_licence(install, tmp_path):
    text = install.report(tmp_path)
    assert "MISSING" not in text
    for model in install.MODELS.values():
        assert model.url in text and f"{model.megabytes} MB" in text and model.licence in text
        assert str(tmp_path / model.folder / model.file) in text
    (tmp_path / "sams").mkdir()
    (tmp_path / "sams" / "sam_vit_b_01ec64.pth").touch()
    assert "found    sam_vit_b" in install.report(tmp_path)


def test_versions_that_are_too_old_are_named(install, tmp_path, monkeypatch):
    (tmp_path / "comfyui_version.py").write_text('__version__ = "0.3.9"\n')
    monkeypatch.setattr(install, "PACKAGES", {"torch": "99", "no-such-package": "1"})
    text = install.report(tmp_path / "models")
    assert "OLD      ComfyUI 0.3.9: 0.3.64 or newer" in text
    assert "OLD      torch" in text
    assert "MISSING  no-such-package" in text


def test_versions_are_the_ones_that_the_package_asks_for(install):
    text = (ROOT / "pyproject.toml").read_text()
    for package, least in install.PACKAGES.items():
        assert f'"{package}>={least}"' in text
    assert f'requires-python = ">={install.LEAST_PYTHON}"' in text
    assert f'requires-comfyui = ">={install.LEAST_COMFYUI}"' in text


def test_no_hop_of_a_redirect_may_leave_https(install, model, plan, tmp_path):
    plan.leads_to = "http://example.org/elsewhere.pth"
    with pytest.raises(install.DownloadError, match="elsewhere.pth is not https"):
        install.download(model, tmp_path)
    assert list((tmp_path / "sams").iterdir()) == []


def test_the_command_says_what_went_wrong(install, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COMFYUI_MODELS", str(tmp_path))
    assert install.main([]) == 0
    broken = install.Model("sams", "m", 1, "http://127.0.0.1:9/m", "0" * 64, "MIT")
    monkeypatch.setitem(install.MODELS, "sam_vit_b", broken)
    assert install.main(["--download", "sam_vit_b"]) == 1
    assert "Error: http://127.0.0.1:9/m" in capsys.readouterr().err


def test_it_never_runs_anything():
    text = (ROOT / "install.py").read_text()
    assert not {"subprocess", "os.system", "pip "} & {
        word for word in ("subprocess", "os.system", "pip ") if word in text
    }

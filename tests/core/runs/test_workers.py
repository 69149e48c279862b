"""Work side by side: the same records however many do it, and whoever dies over it."""

import importlib
import json
import os

import pytest
import refer_fixture as fixture

from refdiff_core.errors import UnavailableError
from refdiff_core.runs.workers import ATTEMPTS, Lost, hire

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install ray"
)
quiet = pytest.mark.filterwarnings("ignore")  # Ray's own: resources, sockets left to it


def records_of(out):
    lines = (out / "records.jsonl").read_text().splitlines()
    found = sorted((json.loads(line) for line in lines), key=lambda each: each["id"])
    return [{key: each[key] for key in each if key != "seconds"} for each in found]


@pytest.fixture
def here(monkeypatch):
    """Workers find this folder's modules, and one thread each is enough."""
    folder = os.path.dirname(fixture.__file__)
    paths = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The data set, four times over, and what one process makes of it."""
    folder = tmp_path_factory.mktemp("whole")
    root = fixture.write(folder / "data", copies=4)
    fixture.run(root, folder / "out")
    return root, folder / "out"


def assert_same(out, other):
    assert records_of(out) == records_of(other)
    for name in ("report.json", "report.html"):
        assert (out / name).read_bytes() == (other / name).read_bytes()


def test_one_worker_works_here_and_in_order():
    with hire(lambda task: (task, os.getpid())) as crew:
        found = list(crew.do(range(5)))
    assert found == [(task, (task, os.getpid())) for task in range(5)]


def test_without_ray_the_error_says_what_to_do(monkeypatch):
    def refuse(name):
        raise ImportError(name)

    monkeypatch.setattr("refdiff_core.runs.workers.importlib.import_module", refuse)
    with pytest.raises(UnavailableError, match="pip install ray"), hire(str, 2):
        pass


@needs_ray
@quiet
def test_two_workers_one_of_whom_dies_write_the_same_records(here, whole, tmp_path):
    root, alone = whole
    deadly = tmp_path / "deadly"
    fixture.run(root, tmp_path / "out", workers=2, deadly=deadly)
    assert deadly.exists()
    assert_same(tmp_path / "out", alone)


@needs_ray
@quiet
def test_three_workers_write_the_same_records(here, whole, tmp_path):
    root, alone = whole
    fixture.run(root, tmp_path / "out", workers=3)
    assert_same(tmp_path / "out", alone)


@needs_ray
@quiet
@pytest.mark.slow
def test_what_kills_every_worker_is_given_up_and_all_else_done(here):
    tasks = ["a", "die", *map(str, range(8))]
    with hire(fixture.Dies(), 2) as crew:
        found = dict(crew.do(tasks))
        assert isinstance(found.pop("die"), Lost)
        assert {*found} == {*tasks} - {"die"}
        assert len({*found.values()}) <= 2 + ATTEMPTS
        assert os.getpid() not in found.values()
        with pytest.raises(UnavailableError, match="not this one"):
            list(crew.do(["refuse"]))

"""What the benchmark of speed counts and says, with the demo's architectures. Nothing is timed."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.families import DEMO, SD1
from refdiff_core.language.expression import parse
from refdiff_core.settings import AttentionSettings

pytestmark = pytest.mark.skipif(
    not hasattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu"),
    reason="before 2.2, torch cannot count what attention costs on a processor",
)
ROOT = Path(__file__).parents[3]
MANY = 8


@pytest.fixture(scope="module", autouse=True)
def checkout():
    """The benchmarks are no part of the installed package."""
    sys.path.append(str(ROOT))
    yield
    sys.path.remove(str(ROOT))


@pytest.fixture(scope="module")
def speed():
    return importlib.import_module("benchmarks.speed")


@pytest.fixture(scope="module")
def measure():
    return importlib.import_module("benchmarks.measure")


def demo_models(device, dtype):
    from benchmarks.build import build_diffusion
    from refdiff_core.backends.clip_scorer import ClipModel
    from refdiff_core.demo.models import load_clip, load_sam

    clip = load_clip()
    held = ClipModel(clip.model.to(device), *clip[1:])
    return build_diffusion(DEMO, device, dtype), load_sam().to(device), held


@pytest.fixture(scope="module")
def suite(speed):
    return speed.Suite("Stable Diffusion 1.5, demo", demo_models, 128, 128, rounds=1)


@pytest.fixture(scope="module")
def costs(speed, suite):
    return speed.count(suite)


@pytest.mark.parametrize("rows", [1, MANY])
def test_our_code_runs_the_floors_passes_and_hardly_more(measure, rows):
    work = importlib.import_module("benchmarks.work")
    model, _, _ = demo_models(torch.device("cpu"), torch.float32)
    source = DiffusersAttention(model, AttentionSettings(resolution=128))
    asked = [parse("the red cup on the left")] * rows
    picture = torch.rand(128, 128, 3)
    ours = measure.count_flops(lambda: source.read(picture, asked)) / 1e12
    floor = sum(measure.count_parts(work.diffusion_floor(model, 128, rows)).values())
    assert floor < ours < 1.03 * floor
    again = measure.count_flops(lambda: source.read(picture, asked)) / 1e12
    autoencoder = measure.count_flops(lambda: work.encode(model, 128)) / 1e12
    assert again == pytest.approx(ours - autoencoder)


def test_a_second_expression_costs_a_third_of_the_work_at_most(measure):
    """Of Stable Diffusion 1.5 at 512 pixels, counted on the meta device."""
    build, work = (importlib.import_module(f"benchmarks.{name}") for name in ("build", "work"))
    model = build.build_diffusion(SD1, build.META, torch.float32)
    cost = measure.count_parts(work.diffusion_floor(model, 512, 1))
    second = cost["text"] + cost["denoiser"]
    assert second / (second + cost["autoencoder"]) < 0.35


def test_full_size_models_keep_to_the_goals_of_work(speed):
    """The goals of docs/speed.md, for Stable Diffusion 1.5."""
    page = importlib.import_module("benchmarks.page")
    large = speed.count(speed.SD_1024)
    assert page.generative_share(large, 1) <= 1 / 3
    assert page.generative_share(large, MANY) <= 1 / 8
    at_512 = speed.count(speed.SD_512)
    assert page.generative_share(at_512, 1) <= 1 / 10
    assert large.floor[1]["SAM, prompts"] < large.published[1]["SAM, prompts"] / 5
    assert at_512.floor[MANY]["autoencoder"] == at_512.floor[1]["autoencoder"]


def test_the_published_schedule_starts_over_for_every_expression(costs):
    for stage, cost in costs.published[1].items():
        assert costs.published[MANY][stage] == pytest.approx(MANY * cost), stage


def test_here_the_picture_is_paid_for_once(costs):
    shared = {"autoencoder", "SAM, picture"}
    for stage, cost in costs.floor[1].items():
        times = costs.floor[MANY][stage] / cost
        assert times == pytest.approx(1) if stage in shared else 1 < times <= MANY * 1.001, stage
    crops = costs.floor[MANY]["CLIP, crops"] / costs.floor[1]["CLIP, crops"]
    assert crops == pytest.approx((40 + 2 * (MANY - 1)) / 40), "two regions are an expression's own"
    assert costs.floor[MANY]["denoiser"] == pytest.approx(MANY * costs.floor[1]["denoiser"])


@pytest.mark.parametrize("quick", [True, False])
def test_the_page_says_what_was_measured(speed, suite, costs, quick, tmp_path):
    page = importlib.import_module("benchmarks.page")
    place, dtype = torch.device("cpu"), torch.float32
    timing = speed.clock(suite, place, dtype, lambda text: None, quick=quick)
    stages = {stage for half in page.HALVES.values() for stage in half}
    assert set(timing.wall.ours[1]) == {*stages, *page.HALVES}
    assert (set(timing.wall.floor[MANY]) == stages) is not quick
    assert ("proposals" in timing.wall.ours[MANY]) is not quick
    assert "autoencoder" not in timing.second and timing.second["denoiser"] > 0
    sides = {replace(suite, side=512): costs, replace(suite, side=1024): costs}
    names = ("`refdiff --help`", "`from refdiff_core import segment`", "`import torch`")
    told = {suite: timing}, dict.fromkeys(names, 0.1)
    run = page.Run(" --quick" if quick else "", " --dtype float32")
    sizes = {"12": importlib.import_module("benchmarks.whole").Size(1.5, 0.25, 0.1, 300)}
    text = page.render(sides, *told, {}, run, sizes)
    assert "| 12 | 1.50 | 0.25 | 0.10 | 0.15 | 300 |" in text and "a second expression" in text
    assert "| **generative half** |" in text and ("--quick" in text) is quick
    assert "--dtype float32 --write" in text
    results = tmp_path / "results.md"
    results.write_text("# Results\n\n## Speed\n\nof yesterday\n")
    for _ in range(2):
        page.write(text, page.summarise(sides, *told, run), sides, tmp_path / "speed.md")
    said = results.read_text()
    assert said.startswith("# Results\n\n## Speed\n\nMeasured by `python")
    assert "yesterday" not in said
    assert said.count("40 crops in batches against one by one | <= 1 |") == 1
    drawn = (tmp_path / "images" / "speed.svg").read_text()
    assert drawn.count("<rect") == 1 + 2 * 3 * 2 and "here, one of eight" in drawn


def test_a_change_of_quality_comes_with_the_error_of_its_scenes():
    from refdiff_core.evaluation.metrics import Record

    precision = importlib.import_module("benchmarks.precision")
    before = [Record("", "", each, 10) for each in (5, 5, 5, 5)]
    after = [Record("", "", each, 10) for each in (7, 7, 5, 5)]
    # scenes of two questions: their sums differ from the mean's by .2 to each side
    change, error = precision.mean_change(before, after, [2, 2])
    assert (change, error) == pytest.approx((0.1, (2 * 0.08) ** 0.5 / 4))
    apart = precision.mean_change(before, after, [1, 1, 1, 1])
    assert apart == pytest.approx((0.1, (4 / 3 * 0.04) ** 0.5 / 4))


def test_results_made_anew_keep_what_speed_wrote(monkeypatch, tmp_path):
    from click.testing import CliRunner

    from refdiff_core.evaluation import results

    page = tmp_path / "results.md"
    page.write_text("# Old\n\n## Speed\n\nfast\n")
    monkeypatch.setattr(results, "results", lambda scenes: "# New")
    assert CliRunner().invoke(results.main, ["--write", str(page)]).exit_code == 0
    assert page.read_text() == "# New\n\n## Speed\n\nfast\n"

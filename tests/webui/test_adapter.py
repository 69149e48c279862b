"""The WebUI adapter over a stand-in host with the demo's weights; no WebUI needed."""

import copy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fake_host import EMBEDDING, ForgeModel, SdConditioning, WebuiModel, demo_checkpoint, hosted
from PIL import Image
from scene import RED_CIRCLE_LEFT, picture, truth

from refdiff_core import load_demo, segment
from refdiff_core.backends.diffusers_attention import DiffusersAttention
from refdiff_core.backends.host_attention import HostAttention
from refdiff_core.backends.tokens import tokenize
from refdiff_core.errors import UnavailableError
from refdiff_core.language.expression import parse
from refdiff_core.pictures.images import from_pil
from refdiff_core.settings import AttentionSettings
from refdiff_core.values import Word

HOSTS = {"webui": WebuiModel, "forge": ForgeModel}


@pytest.fixture(params=HOSTS)
def host(request, tmp_path):
    with hosted(HOSTS[request.param](), tmp_path) as found:
        yield found


def demo_attention(settings=AttentionSettings()):
    return DiffusersAttention(demo_checkpoint(), settings)


def reader(host, settings=AttentionSettings()):
    return HostAttention(host.attention.Webui(host.model), settings)


def processing(image, **options):
    comments = []
    return SimpleNamespace(
        init_images=[image], image_mask=None, extra_generation_params={}, comment=comments.append,
        comments=comments, inpaint_full_res=True, inpainting_mask_invert=1, **options,
    )  # fmt: skip


def generate(host, image, words, *options, enabled=True):
    p = processing(image)
    given = [enabled, words, 0, 0, False, 0.15, "None", "None"]
    given[2 : 2 + len(options)] = options
    host.script.RefDiff().process(p, *given)
    return p


def look_for(host, words):
    """As the button Find does in the tab img2img."""
    return host.script.show_candidates(0, picture(), None, None, words, 0.15, "None", "None")


def bits(mask):
    return np.asarray(mask.convert("L")) > 127


def iou(mask, true):
    return (bits(mask) & true).sum() / (bits(mask) | true).sum()


def test_maps_equal_those_through_diffusers(host):
    lines = [parse(text) for text in (RED_CIRCLE_LEFT, "the blue square", "star")]
    theirs = demo_attention().read(from_pil(picture()), lines)
    ours = reader(host).read(from_pil(picture()), lines)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a.heat, b.heat, atol=1e-4)
        assert [word.text for word in a.words] == [word.text for word in b.words]


@pytest.mark.parametrize("kind", HOSTS.values(), ids=HOSTS)
def test_half_precision_gives_the_same_maps_but_for_its_rounding(tmp_path, kind):
    """bfloat16 is the half precision that processors compute in."""
    with hosted(kind(dtype=torch.bfloat16), tmp_path) as host:
        for text in (RED_CIRCLE_LEFT, "the blue square", "star"):
            image, lines = from_pil(picture()), [parse(text)]
            (ours,), (theirs,) = (
                reader(host).read(image, lines),
                demo_attention().read(image, lines),
            )
            both = torch.stack([ours.heat.flatten(), theirs.heat.flatten()])
            assert torch.corrcoef(both)[0, 1] >= 0.99 and ours.heat.dtype == torch.float32
        assert iou(generate(host, picture(), RED_CIRCLE_LEFT).image_mask, truth()) >= 0.7
        assert {each.dtype for each in host.model.passes} == {torch.bfloat16}


def test_inpainting_checkpoints_see_the_picture_unmasked(tmp_path, host):
    with hosted(type(host.model)(channels=9), tmp_path) as wide:
        image, lines = from_pil(picture()), [parse("the red circle")]
        (more,) = reader(wide).read(image, lines)
        (plain,) = reader(host).read(image, lines)
        assert torch.allclose(more.heat, plain.heat, atol=1e-4)


def test_the_red_circle_on_the_left_is_found_and_repainted(host):
    p = generate(host, picture(), RED_CIRCLE_LEFT)
    assert p.image_mask.mode == "L" and p.image_mask.size == picture().size
    assert iou(p.image_mask, truth()) >= 0.7
    assert p.extra_generation_params["Ref-Diff"] == RED_CIRCLE_LEFT


def test_the_mask_is_the_cores_own(host):
    p = generate(host, picture(), RED_CIRCLE_LEFT)
    (core,) = segment(from_pil(picture()), [RED_CIRCLE_LEFT], load_demo("g"))
    assert iou(p.image_mask, core.mask.numpy() > 0.5) >= 0.97


def test_masks_of_segment_anything_are_sharper(host):
    pytest.importorskip("segment_anything")
    p = generate(
        host, picture(), RED_CIRCLE_LEFT, 0, 0, False, 0.15, "Ref-Diff demo", "Ref-Diff demo"
    )
    assert iou(p.image_mask, truth()) >= 0.9


def test_our_words_are_not_noted_as_the_pictures_own(host):
    assert host.model.noted
    host.model.get_learned_conditioning(SdConditioning(["a prompt"]))
    before = copy.deepcopy(vars(host.model.notes))
    generate(host, picture(), RED_CIRCLE_LEFT)
    assert len(host.model.asked) > 1 and vars(host.model.notes) == before
    assert all("a prompt" in notes for notes in before.values())


def test_the_model_and_the_random_state_are_left_as_they_were(host):
    latents, text = torch.randn(1, 4, 32, 48), torch.randn(1, 77, 64)
    before = host.model.unet(latents, torch.tensor([9]), text)
    state = torch.random.get_rng_state()
    generate(host, picture(), RED_CIRCLE_LEFT)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(host.model.unet(latents, torch.tensor([9]), text), before)
    assert not any(module._forward_hooks for module in host.model.unet.modules())


def test_several_lines_give_one_mask_and_negative_ones_leave_out(host):
    both = bits(generate(host, picture(), "the blue square\nthe yellow star").image_mask)
    one = bits(generate(host, picture(), "the blue square").image_mask)
    other = bits(generate(host, picture(), "the yellow star").image_mask)
    assert one.any() and other.any() and (both == one | other).all()
    left = bits(generate(host, picture(), "the blue square\nnot: the blue square").image_mask)
    assert not (left & one).any()


def test_what_pasted_prompts_bring_along_is_not_read(host):
    plain = bits(generate(host, picture(), RED_CIRCLE_LEFT).image_mask)
    pasted = f"/* mine */ {RED_CIRCLE_LEFT} <lora:more:0.8>\n BREAK\n"
    assert (bits(generate(host, picture(), pasted).image_mask) == plain).all()


def test_what_is_not_there_is_said_with_a_reason_and_leaves_the_picture_alone(host):
    pytest.importorskip("segment_anything")
    demo = (0.15, "Ref-Diff demo", "Ref-Diff demo")
    p = generate(host, picture(), "the green ring", 0, 0, False, *demo)
    assert p.image_mask.getbbox() is None
    assert p.comments[0].startswith("Ref-Diff: Nothing found for 'the green ring'. ")
    all_the_same = generate(host, picture(), "the green ring", 0, 0, False, 0, *demo[1:])
    assert all_the_same.image_mask.getbbox() is not None


def test_grow_and_invert_shape_the_mask(host):
    plain = bits(generate(host, picture(), RED_CIRCLE_LEFT).image_mask)
    grown = bits(generate(host, picture(), RED_CIRCLE_LEFT, 3).image_mask)
    inverted = bits(generate(host, picture(), RED_CIRCLE_LEFT, 0, 0, True).image_mask)
    assert grown.sum() > plain.sum() and (grown | plain == grown).all()
    assert (inverted == ~plain).all()


def test_without_being_asked_nothing_is_touched(host):
    p = generate(host, picture(), RED_CIRCLE_LEFT, enabled=False)
    assert p.image_mask is None and p.extra_generation_params == {}


@pytest.mark.parametrize("invert", [False, True])
def test_what_cannot_be_found_leaves_the_picture_as_it_is_and_says_so(host, invert):
    p = generate(host, picture(), "  ", 0, 0, invert)
    assert p.image_mask.getbbox() is None
    assert p.inpaint_full_res is False and p.inpainting_mask_invert == 0
    assert "There is no expression" in p.comments[0]
    host.errors.report.assert_not_called()


def test_an_error_that_nobody_foresaw_is_told_and_traced(host, monkeypatch):
    monkeypatch.setattr(host.script, "find", lambda *_: 1 / 0)
    p = generate(host, picture(), "the star")
    assert "ZeroDivisionError" in p.comments[0] and p.image_mask.getbbox() is None
    host.errors.report.assert_called_once()


def test_a_package_that_is_missing_is_named(host, monkeypatch):
    for name in ("segment_anything", "segment_anything.modeling"):
        monkeypatch.setitem(sys.modules, name, None)
    p = generate(host, picture(), "the star", 0, 0, False, 0.15, "Ref-Diff demo")
    assert "pip install segment-anything" in p.comments[0]


def test_without_a_checkpoint_there_is_one_clear_message(tmp_path):
    with hosted(None, tmp_path) as host:
        *_, told = look_for(host, "the star")
        assert "No checkpoint is loaded" in told


def test_a_checkpoint_without_a_unet_is_refused_in_words(tmp_path):
    with hosted(WebuiModel(), tmp_path) as host:
        flux = SimpleNamespace(model=SimpleNamespace(diffusion_model=torch.nn.Linear(1, 1)))
        with pytest.raises(UnavailableError, match="Load Stable Diffusion 1.x, 2.x or XL"):
            host.attention.Webui(flux)


def test_a_click_finds_chooses_and_makes_the_same_mask_as_generating(host):
    script = host.script
    found, shown, picks, told = script.show_candidates(
        2, None, {"image": picture(), "mask": None}, None, RED_CIRCLE_LEFT, 0.15, "None", "None"
    )
    assert told == "" and picks == "1" and len(shown) >= 2
    assert shown[0][1].startswith("1   0.")
    base, mask, _ = script.to_upload(found, picks, 0, 0, False)
    assert base.size == mask.size == picture().size
    assert (bits(mask) == bits(generate(host, picture(), RED_CIRCLE_LEFT).image_mask)).all()
    _, layer, _ = script.to_canvas(found, picks, 0, 0, False)
    assert layer.mode == "RGBA" and (np.asarray(layer)[..., 3] == np.asarray(mask)).all()
    preview, _ = script.show_mask(found, picks, 0, 0, False)
    assert preview.size == picture().size
    assert host.shared.state.jobs == ["Ref-Diff", "end"] and not host.call_queue.queue_lock.locked()


def test_a_batch_asks_anew_for_every_picture_and_forgets_the_last_one(host):
    p = generate(host, picture(), "  ")
    assert p.inpaint_full_res is False and p.inpainting_mask_invert == 0
    p.init_images = [picture()]
    host.script.RefDiff().process(p, True, RED_CIRCLE_LEFT, 0, 0, False, 0.15, "None", "None")
    assert p.inpaint_full_res is True and p.inpainting_mask_invert == 1
    assert iou(p.image_mask, truth()) >= 0.7


def test_a_mask_that_shrinks_to_nothing_repaints_nothing(host):
    p = generate(host, picture(), RED_CIRCLE_LEFT, -64)
    assert p.image_mask.getbbox() is None and p.inpaint_full_res is False


def test_buttons_say_what_is_missing(host):
    script = host.script
    for act in (script.to_upload, script.to_canvas):
        *_, told = act(None, "1", 0, 0, False)
        assert told == "Nothing has been looked for. Press Find first."
    assert script.show_mask(None, "1", 0, 0, False)[0] is None


def test_messages_are_text_on_the_page(host):
    *_, told = look_for(host, "the [<b> thing")
    assert "<b>" not in told and "&lt;b&gt;" in told


def test_candidates_that_are_not_there_are_refused(host):
    found, *_ = look_for(host, "the star")
    preview, told = host.script.show_mask(found, "99", 0, 0, False)
    assert preview is None and "There is no candidate 99" in told


def test_stop_ends_the_search(host):
    host.shared.state.interrupt()
    p = generate(host, picture(), RED_CIRCLE_LEFT)
    assert "Stopped" in p.comments[0] and host.model.passes == []


def test_weights_taught_with_another_kind_of_noise_are_refused_in_words(tmp_path):
    model = ForgeModel(predicts="const")
    with hosted(model, tmp_path) as host, pytest.raises(UnavailableError, match="kind of noise"):
        host.attention.Webui(model)


@pytest.mark.parametrize("own", ["eps", "v"])
def test_v_prediction_counts_where_either_word_of_the_host_says_it(tmp_path, own):
    with hosted(ForgeModel(predicts="eps"), tmp_path) as host:
        host.model.parameterization = own  # in reForge, what the file's configuration says
        assert host.attention.prediction_of(host.model) == own


def test_forge_without_a_checkpoint_says_so(tmp_path):
    with hosted(ForgeModel(), tmp_path) as host:
        host.sd_models.model_data.forge_loading_parameters.clear()
        *_, told = look_for(host, "the star")
        assert "No checkpoint is loaded" in told and host.model.prepared == []


def test_how_far_a_search_is_can_be_asked_of_the_host(host):
    pytest.importorskip("segment_anything")
    generate(host, picture(), "the star", 0, 0, False, 0.15, "Ref-Diff demo")
    assert 0 < host.shared.state.sampling_step <= host.shared.state.sampling_steps


def test_forge_prepares_and_cleans_up_around_the_call(tmp_path):
    with hosted(ForgeModel(), tmp_path) as host:
        look_for(host, "the star")
        assert host.model.prepared == ["reloaded", "prepared", "cleaned up"]


def test_brackets_are_text_to_the_host_and_embeddings_keep_their_places(host):
    attention = host.attention
    line = f"the (Red) {EMBEDDING} circle \\o/"
    assert attention.prompt_of(line) == f"the \\(red\\) {EMBEDDING} circle \\\\o/"
    tokens = attention.Webui(host.model).tokenize(parse(line), "")
    start = line.index(EMBEDDING)
    before = len(tokenize(line[:start]).ids)
    embedding = tokens.positions(Word(EMBEDDING, start, start + len(EMBEDDING)))
    assert embedding == (before + 1, before + 2, before + 3)
    circle = tokens.positions(Word("circle", line.index("circle"), line.index("circle") + 6))
    assert circle == (before + 4,)


def test_long_lines_go_in_several_chunks(host):
    line = "the red circle " + "in front of it all " * 20
    tokens = host.attention.Webui(host.model).tokenize(parse(line), "")
    assert tokens.chunks == 2
    image, lines = from_pil(picture()), [parse(line), parse("the star")]
    ours = reader(host).read(image, lines)
    for a, b in zip(ours, demo_attention().read(image, lines), strict=True):
        assert torch.allclose(a.heat, b.heat, atol=1e-4)


def test_settings_of_the_core_are_honoured(host):
    image, lines = from_pil(picture()), [parse("the red circle")]
    for settings in (AttentionSettings(propagation=1), AttentionSettings(words="root")):
        ours = reader(host, settings).read(image, lines)[0].heat
        theirs = demo_attention(settings).read(image, lines)[0]
        assert torch.allclose(ours, theirs.heat, atol=1e-4)


def test_models_of_other_extensions_and_of_the_host_are_offered(tmp_path, host):
    for place in ("models/sam/a.pth", "models/open_clip/ViT-B-16.x.safetensors"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    assert host.script.SHELF.names("sams") == ["None", "Ref-Diff demo", "a.pth"]
    assert host.script.SHELF.names("clip")[2:] == ["ViT-B-16.x.safetensors"]


def test_a_picture_with_transparency_lies_over_white(host):
    clear = picture().convert("RGBA")
    clear.putalpha(Image.new("L", clear.size, 255))
    assert (
        bits(generate(host, clear, "the star").image_mask)
        == bits(generate(host, picture(), "the star").image_mask)
    ).all()

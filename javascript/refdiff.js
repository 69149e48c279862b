// A click on a candidate chooses it; with shift it adds it, or takes it away again.
document.addEventListener("click", event => {
    const tile = event.target.closest("#refdiff_gallery .thumbnail-item");
    const box = gradioApp().querySelector("#refdiff_picks textarea, #refdiff_picks input");
    if (!tile || !box) return;
    const number = [...tile.parentElement.querySelectorAll(".thumbnail-item")].indexOf(tile) + 1;
    const before = event.shiftKey ? (box.value.match(/\d+/g) ?? []).map(Number) : [];
    const others = before.filter(each => each !== number);
    box.value = (others.length < before.length ? others : [...before, number]).join(", ");
    updateInput(box);
});

// What Find is given: the open tab's number, and pictures; a canvas without paint must not lack it.
function refdiffSources(_tab, ...values) {
    const painted = each => each?.image && !each.mask ? { ...each, mask: each.image } : each;
    return [get_tab_index("mode_img2img"), ...values.map(painted)];
}

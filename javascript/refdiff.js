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

// What Find is given: the open tab's number, and pictures. Gradio 3 refuses a canvas without paint.
function refdiffSources(_tab, image, canvas, ...others) {
    if (canvas && gradio_config.version.startsWith("3.")) {
        const picture = canvas.image ?? canvas;
        canvas = { image: picture, mask: canvas.mask || picture };
    }
    return [get_tab_index("mode_img2img"), image, canvas, ...others];
}

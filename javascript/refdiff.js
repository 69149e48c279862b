// A click on a candidate chooses it, one more adds it to those before; shift adds, or takes away again.
let refdiffClick = null;
document.addEventListener("click", event => {
    if (event.target.closest("#refdiff_find")) refdiffClick = null;
    const tile = event.target.closest("#refdiff_gallery .thumbnail-item");
    const box = gradioApp().querySelector("#refdiff_picks textarea, #refdiff_picks input");
    if (!tile || !box) return;
    const number = [...tile.parentElement.querySelectorAll(".thumbnail-item")].indexOf(tile) + 1;
    const chosen = (box.value.match(/\d+/g) ?? []).map(Number);
    const again = refdiffClick?.number === number && box.value === `${number}`;
    const before = event.shiftKey ? chosen : again ? refdiffClick.chosen : [];
    const others = before.filter(each => each !== number);
    const removed = event.shiftKey && others.length < before.length;
    refdiffClick = { number, chosen };
    box.value = (removed ? others : [...others, number]).join(", ");
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

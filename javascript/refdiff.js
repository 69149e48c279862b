// the gallery tells which candidate was clicked, not whether shift was held
document.addEventListener("pointerdown", event => { window.refdiffShift = event.shiftKey; }, true);

"use strict";
(function () {
  const scenes = JSON.parse(document.getElementById("scenes").textContent);
  const get = id => document.getElementById(id);
  const frame = get("viewer"), stage = get("stage"), sheet = get("sheet"), slider = get("slider");
  const pick = { image: get("image"), target: get("target"), left: get("pick-left"), right: get("pick-right") };
  const buttons = Array.from(document.querySelectorAll("[data-zoom]"));
  let chosen = buttons[0].dataset.zoom;

  function scene() { return scenes[pick.image ? pick.image.selectedIndex : 0]; }

  function side(name) {
    const fixed = scene().always[name];
    return fixed === undefined ? scene().by_target[pick.target.value][name] : fixed;
  }

  function scale() {
    if (chosen !== "fit") return Number(chosen);
    const border = stage.offsetWidth - stage.clientWidth, tallest = parseFloat(getComputedStyle(stage).maxHeight);
    return Math.min(1, (frame.clientWidth - border) / scene().width, (tallest - border) / scene().height);
  }

  function show() {
    for (const which of ["left", "right"]) {
      const shown = side(pick[which].value);
      get(which).src = shown.uri;
      get(which).alt = scene().name + ", " + shown.text;
      get("caption-" + which).textContent = (which === "left" ? "Left: " : "Right: ") + shown.text;
      get("caption-" + which).className = shown.missed ? "missed" : "";
    }
    fit();
    split();
  }

  function fit() {
    const zoom = scale();
    sheet.style.width = scene().width * zoom + "px";
    sheet.style.height = scene().height * zoom + "px";
    slider.style.width = Math.max(200, stage.offsetWidth) + "px";
    sheet.classList.toggle("small", zoom < 1);
    sheet.classList.toggle("clear", scene().clear);
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.zoom === chosen));
    return zoom;
  }

  function split() { sheet.style.setProperty("--split", slider.value + "%"); }

  function drag(event) {
    const box = sheet.getBoundingClientRect();
    slider.value = Math.round(1000 * (event.clientX - box.left) / box.width) / 10;
    split();
  }

  for (const select of Object.values(pick)) if (select) select.addEventListener("change", show);
  slider.addEventListener("input", split);
  sheet.addEventListener("pointerdown", event => { sheet.setPointerCapture(event.pointerId); drag(event); });
  sheet.addEventListener("pointermove", event => { if (event.buttons) drag(event); });
  window.addEventListener("resize", fit);
  for (const button of buttons) button.addEventListener("click", () => {
    const old = scale();
    chosen = button.dataset.zoom;
    const x = (stage.scrollLeft + stage.clientWidth / 2) / old, y = (stage.scrollTop + stage.clientHeight / 2) / old;
    const zoom = fit();
    stage.scrollTo(x * zoom - stage.clientWidth / 2, y * zoom - stage.clientHeight / 2);
  });
  show();
})();

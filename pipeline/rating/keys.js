// Keys: 1, 2, ... answer; space plays and pauses; S skips; Z takes the last answer back. Not while something is typed.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, textarea, select, [contenteditable=true]")) return;
  const press = (id) => {
    const button = document.getElementById(id);
    if (!button || button.offsetParent === null) return;
    event.preventDefault();
    button.click();
  };
  const key = event.key.toLowerCase();
  if (/^[1-9]$/.test(key)) press(`answer-${key}`);
  else if (key === "s") press("skip");
  else if (key === "z") press("take-back");
  else if (key === " " && !event.target.closest("button, audio, summary, a")) {
    const player = document.querySelector("#task audio");
    if (!player || player.offsetParent === null) return;
    event.preventDefault();
    if (player.paused) player.play();
    else player.pause();
  }
});

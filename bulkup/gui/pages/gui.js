"use strict";
/* Refreshes the live parts of a page, copies the command, and checks the choice to which a field
   belongs once that is filled in. Pages work without it. */

const PERIOD = 500;
const gone = document.getElementById("gone");
const seen = new Map();

function swap(id, part) {
  const there = document.getElementById(id);
  if (!there || seen.get(id) === part.innerHTML) return;
  seen.set(id, part.innerHTML);
  const focused = document.activeElement;
  const name = there.contains(focused) && focused.name;
  there.replaceChildren(...part.childNodes);
  if (name) there.querySelector(`[name="${CSS.escape(name)}"]`)?.focus();
}

async function refresh() {
  let live = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/x-fragment" } });
    if (answer.redirected) return location.reload();
    live = answer.headers.get("X-Live") === "on";
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of page.body.children) swap(part.id, part);
    gone.hidden = answer.ok;
  } catch {
    gone.hidden = false;
  }
  if (live) setTimeout(refresh, PERIOD);
}

if (document.querySelector("[data-live]")) setTimeout(refresh, PERIOD);

document.addEventListener("input", (event) => {
  const choice = event.target.closest(".of-choice")?.previousElementSibling;
  const radio = choice?.querySelector("input[type=radio]");
  if (radio) radio.checked = true;
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.copied;
  });
}

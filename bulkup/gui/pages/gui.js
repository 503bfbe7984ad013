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
  const [old, fresh] = [[...there.children], [...part.children]];
  if (fresh.length && old.length === fresh.length) {  // what stays the same can still be clicked
    fresh.forEach((child, at) => old[at].isEqualNode(child) || old[at].replaceWith(child));
  } else {
    there.replaceChildren(...part.childNodes);
  }
  if (name) there.querySelector(`[name="${CSS.escape(name)}"]`)?.focus();
}

let live = Boolean(document.querySelector("[data-live]"));

async function refresh() {
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

if (live) setTimeout(refresh, PERIOD);

/* A task may have been started in another tab: show it when this one is looked at. */
if (document.querySelector("[data-starts]")) {
  document.addEventListener("visibilitychange", async () => {
    if (document.hidden || live) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/x-fragment" } });
    if (answer.headers.get("X-Live") === "on") location.reload();
  });
}

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

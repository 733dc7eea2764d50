// Pages work without this script. With it they follow changes, check forms while one types, show
// replies word by word, and copy.
"use strict";

const find = (selector, root = document) => root.querySelector(selector);
const data = document.body.dataset;
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
document.documentElement.classList.add("scripted");

// Live parts: the server renders the page again, and what differs is replaced. Focus, selection
// and open menus stay.
function swap(html) {
  const next = new DOMParser().parseFromString(html, "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const fresh = next.getElementById(old.id);
    if (!fresh) continue;
    for (const open of old.querySelectorAll("details[open]"))
      fresh.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
    if (fresh.isEqualNode(old)) continue;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    old.replaceWith(fresh);
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }
  return next;
}

function say(text) {
  const bar = find("#connection");
  bar.textContent = text;
  bar.hidden = !text;
  document.body.classList.toggle("stale", Boolean(text));
}

let hasEnded = false;

async function refresh() {
  const response = await fetch(data.refresh ?? location.href, { headers: { Accept: "text/html" } });
  if (response.redirected) {
    hasEnded = true;
    return say(data.ended);
  }
  if (response.status === 404 || response.status === 403) return location.assign("/");
  if (!response.ok) throw new Error(`${response.status}`);
  const next = swap(await response.text());
  document.title = next.title;
  find("link[rel=icon]").href = find("link[rel=icon]", next).getAttribute("href");
  return undefined;
}

function follow(url) {
  let source = null;
  let pending = null;
  let countdown = null;
  let isSynced = false;
  let failures = 0;
  const changed = (delay = Number(data.pause ?? 250)) => {
    pending ??= setTimeout(() => {
      pending = null;
      refresh().catch(() => changed(3000));
    }, delay);
  };
  const retry = (isReachable) => {
    if (document.hidden || hasEnded) return;
    let seconds = Math.min(2 ** failures++, 30);
    const tick = () => {
      if (seconds <= 0) return open();
      say(isReachable ? "" : fill(data.lost, { seconds }));
      seconds--;
      countdown = setTimeout(tick, 1000);
      return undefined;
    };
    tick();
  };
  const close = () => {
    clearTimeout(countdown);
    source?.close();
  };
  const open = () => {
    close();
    source = new EventSource(url);
    source.addEventListener("reset", () => (isSynced = false));
    source.addEventListener("synced", () => {
      isSynced = true;
      failures = 0;
      say("");
      changed();
    });
    for (const kind of ["ADDED", "MODIFIED", "DELETED"])
      source.addEventListener(kind, () => isSynced && changed());
    source.onerror = async () => {
      close();
      // The page itself may be had where the stream may not: then each attempt refreshes it.
      retry(await refresh().then(() => true, () => false));
    };
  };
  // A tab in the background needs no stream; browsers have few connections to one site.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  setInterval(() => document.hidden || changed(), 60_000); // ages grow
  if (!document.hidden) open();
}

function checkWhileTyping(form) {
  let timer = null;
  let turn = 0;
  const check = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = ++turn;
      const body = new URLSearchParams(new FormData(form));
      body.set("check", "1");
      const response = await fetch(form.action, { method: "POST", body }).catch(() => null);
      if (response?.ok && !response.redirected && mine === turn) swap(await response.text());
    }, 400);
  };
  form.addEventListener("input", check);
  if (form.elements.name.value) check(); // a link has filled it in
}

async function* events(response) {
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + piece).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.event) yield [fields.event, JSON.parse(fields.data)];
    }
  }
}

async function ask(form) {
  const [text, error, note] = ["text", "error", "note"].map((part) => find(`#reply-${part}`));
  const button = find("button", form);
  const began = Date.now();
  button.disabled = true;
  text.hidden = error.hidden = true;
  text.textContent = "";
  note.textContent = form.dataset.asking;
  const fail = (detail) => {
    error.textContent = detail || form.dataset.broken;
    error.hidden = false;
    note.textContent = "";
  };
  try {
    const response = await fetch(form.dataset.prompt, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": form.csrf.value },
      body: JSON.stringify({ prompt: form.prompt.value, model: form.model.value, stream: true }),
    });
    if (!response.ok) return fail((await response.json()).detail);
    let isDone = false;
    for await (const [kind, content] of events(response)) {
      if (kind === "token") {
        text.hidden = false;
        text.append(content.text);
      } else if (kind === "error") return fail(content.detail);
      isDone = kind === "done";
    }
    if (!isDone) return fail();
    const seconds = ((Date.now() - began) / 1000).toFixed(1);
    note.textContent = fill(form.dataset.done, { model: form.model.value, seconds });
  } catch {
    fail();
  } finally {
    button.disabled = false;
  }
  return undefined;
}

if (data.watch) follow(data.watch);
for (const form of document.querySelectorAll("form[data-check]")) checkWhileTyping(form);
for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;

document.addEventListener("submit", (event) => {
  if (!event.target.dataset.prompt) return;
  event.preventDefault();
  ask(event.target);
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  for (const menu of document.querySelectorAll("details.menu[open]"))
    if (!menu.contains(event.target)) menu.open = false;
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  find("span", button).textContent = data.copied;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape")
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      if (menu.contains(document.activeElement)) find("summary", menu).focus();
    }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  const target = { "/": "#q", n: "#new" }[event.key];
  const element = target && find(target);
  if (!element) return;
  event.preventDefault();
  if (event.key === "/") element.focus();
  else element.click();
});

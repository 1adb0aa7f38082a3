// A flow's inbox: opens threads in place and shows new activity as it arrives.

import {fetchParts, updateChildren, updateElement, refresher, subscribe, onKeys, showUnreadInTitle} from "./live.js";

const MOST_ROWS = 400; // a page that is open for weeks drops the oldest rows
const UNDO = 8000; // milliseconds during which marking a thread as done can be undone

const inbox = document.getElementById("inbox");
const flow = inbox.dataset.flow;
const query = inbox.dataset.query;
const threadAddress = new RegExp(`^${RegExp.escape ? RegExp.escape(flow) : flow}/threads/([^/]+)$`);
const $ = id => document.getElementById(id);
/** Add `unseen=1` to the address while the page is in the background, so that what it fetches does not count as read. */
const seenOrNot = address => document.hidden ? `${address}${address.includes("?") ? "&" : "?"}unseen=1` : address;

// ---- The list ----

const rows = $("rows");
let seen = Number(rows.dataset.number); // of the flow's latest message
let updated = new Set(); // threads with new activity while the top of the list was out of sight
// On a wide screen list and thread scroll separately, on a narrow one the page scrolls; see look.css.
const isWide = matchMedia("(min-width: 52rem)");
const scroller = () => isWide.matches ? $("threads") : document.scrollingElement;
const threadScroller = () => isWide.matches ? $("thread") : document.scrollingElement;
const isOnFirstPage = !new URLSearchParams(location.search).has("before");

async function refreshList() {
  if (!isOnFirstPage) return;
  const parts = await fetchParts(`${flow}/list${query}`);
  const fresh = parts.getElementById("rows");
  const last = fresh.lastElementChild?.dataset.place;
  const wasAtTop = scroller().scrollTop < 8;
  // Rows below the fetched ones are still right, unless more threads changed than one page holds.
  const goesOn = parts.getElementById("more") !== null && last <= rows.firstElementChild?.dataset.place
    && !(wasAtTop && rows.childElementCount > MOST_ROWS);
  const isBelow = row => goesOn && row.dataset.place < last;
  const shownBelow = [...rows.children].some(isBelow);
  const before = new Set([...rows.children].map(row => row.dataset.key));
  const changed = keepingPosition(() => {
    const changed = updateChildren(rows, fresh, isBelow);
    for (const row of changed) {
      row.classList.add("is-arriving");
      if (document.hidden || !wasAtTop) updated.add(row.dataset.key);
    }
    showUpdatedCount();
    return changed;
  });
  if (!shownBelow) $("after-rows").replaceChildren(...parts.getElementById("after-rows").childNodes);
  for (const part of ["flows", "filters", "views"]) updateElement($(part), parts.getElementById(part));
  updateTitle();
  seen = Math.max(seen, Number(fresh.dataset.number));
  markCurrent();
  const arrived = changed.filter(row => !before.has(row.dataset.key)).length;
  if (changed.length) $("announcements").textContent = arrived ? `${counted(arrived, "new thread")}` : `${counted(changed.length, "thread")} updated`;
}

/** Change the rows while the one at the top of the view keeps its position, which browsers handle differently. */
function keepingPosition(act) {
  const top = isWide.matches ? $("threads").getBoundingClientRect().top : 0;
  const reading = scroller().scrollTop < 8 ? null
    : [...rows.children].find(row => row.getBoundingClientRect().bottom > top + $("threads").firstElementChild.offsetHeight);
  const before = reading?.getBoundingClientRect().top;
  const result = act();
  if (reading?.isConnected) scroller().scrollTop += reading.getBoundingClientRect().top - before;
  return result;
}

const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function showUpdatedCount() {
  const count = updated.size;
  const bar = $("moved");
  bar.hidden = count === 0 || scroller().scrollTop < 8;
  bar.textContent = `${counted(count, "thread")} ${count === 1 ? "has" : "have"} new activity`;
}

function updateTitle() {
  const title = $("thread").dataset.title;
  showUnreadInTitle(Number($("flows").dataset.unread), title ? `${title} · ${inbox.dataset.name}` : inbox.dataset.name);
}

function clearUpdatedAtTop() {
  if (document.hidden || !updated.size || scroller().scrollTop >= 8) return;
  updated.clear();
  showUpdatedCount();
}

const rowOf = thread => thread && rows.querySelector(`[data-key="${CSS.escape(thread)}"]`);

async function showMore(link, {focus} = {focus: true}) {
  const address = new URL(link.href);
  const parts = await fetchParts(`${flow}/list${address.search}`);
  const known = new Set([...rows.children].map(row => row.dataset.key));
  const more = [...parts.getElementById("rows").children].filter(row => !known.has(row.dataset.key));
  rows.append(...more);
  $("after-rows").replaceChildren(...parts.getElementById("after-rows").childNodes);
  markCurrent();
  if (focus) more[0]?.querySelector("a").focus({preventScroll: true});
}

// Load more rows at the end of the list.
let isFetchingMore = false;
const ahead = new IntersectionObserver(async ([entry]) => {
  const link = $("more");
  if (!entry.isIntersecting || !link || isFetchingMore) return;
  isFetchingMore = true;
  try {
    await showMore(link, {focus: document.activeElement === link});
    ahead.unobserve($("after-rows")); // so that it fires again if the end is still in sight
    ahead.observe($("after-rows"));
  } catch {
    // The link remains and can be clicked.
  } finally {
    isFetchingMore = false;
  }
}, {rootMargin: "600px"});
ahead.observe($("after-rows"));

/** Show the list or the thread, and give the one that is shown the page's h1, as the server does. */
function openPart(part) {
  inbox.dataset.open = part;
  const old = document.querySelector(".inbox-title");
  const heading = document.createElement(part === "thread" ? "h2" : "h1");
  heading.className = old.className;
  heading.textContent = old.textContent;
  old.replaceWith(heading);
}

function markCurrent() {
  const open = $("thread").dataset.thread;
  for (const row of rows.children) {
    const link = row.querySelector("a");
    if (row.dataset.key === open) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

// ---- The thread ----

let opening = 0;
const drafts = new Map(); // comments that were typed and not sent, by thread

async function openThread(address, {push}) {
  const turn = ++opening;
  const url = new URL(address, location.href);
  const parts = await fetchParts(`${url.pathname}/pane${url.search}`);
  if (turn !== opening) return;
  keepDraft();
  const pane = parts.getElementById("thread");
  $("thread").replaceWith(pane);
  if (push) history.pushState(null, "", url.pathname + url.search);
  openPart("thread");
  updateTitle();
  updated.delete(pane.dataset.thread);
  showUpdatedCount();
  markCurrent();
  if (rowOf(pane.dataset.thread)?.classList.contains("is-unread")) refreshMarks();
  restoreDraft();
  threadScroller().scrollTop = 0;
  pane.focus({preventScroll: true});
}

function closeThread({push}) {
  opening += 1;
  const last = $("thread").dataset.thread;
  keepDraft();
  $("thread").replaceWith($("no-thread").content.firstElementChild.cloneNode(true));
  if (push) history.pushState(null, "", flow + query);
  openPart("list");
  updateTitle();
  showUpdatedCount();
  markCurrent();
  if (last) rowOf(last)?.querySelector("a").focus();
}

// ---- Read and done ----

/** Post `fields` to an address of a thread, with the page's CSRF token. */
async function send(address, fields) {
  const body = new URLSearchParams(new FormData($("mark-form")));
  for (const [name, value] of Object.entries(fields)) body.set(name, value);
  const response = await fetch(address, {method: "POST", body, redirect: "manual"});
  if (response.type !== "opaqueredirect") location.reload(); // signed out, or the thread was deleted: the page shows it
}

/** Refresh the list here and in this person's other windows after a change of what is read or done. */
function refreshMarks() {
  refresh({list: true});
  tellOthers({kind: "marks"});
}

async function markDone(thread, isDone) {
  const row = rowOf(thread), next = row?.nextElementSibling ?? row?.previousElementSibling;
  const isOpen = $("thread").dataset.thread === thread;
  await send(`${flow}/threads/${thread}/done`, {done: isDone ? "1" : "0"});
  if (isOpen && isDone) closeThread({push: true});
  const leaves = isDone ? ["", "unread"] : ["done"];
  if (row && leaves.includes(shown())) {
    row.remove();
    if (isDone) (next?.isConnected ? next.querySelector("a") : rows).focus({preventScroll: true});
  } else {
    row?.classList.toggle("is-done", isDone);
  }
  toast(isDone ? "Marked as done." : "Moved back to To do.", isDone ? () => markDone(thread, false) : null);
  if (isOpen && !isDone) refresh({thread: true});
  refreshMarks();
}

const shown = () => new URLSearchParams(query).get("show") ?? "";

async function markUnread(thread) {
  if ($("thread").dataset.thread === thread) closeThread({push: true});
  await send(`${flow}/threads/${thread}/unread`, {});
  refreshMarks();
}

let toastEnds = null;

function toast(sentence, undo) {
  const box = $("toast");
  clearTimeout(toastEnds);
  const words = document.createElement("span");
  words.textContent = sentence;
  box.replaceChildren(words);
  if (undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button button-small";
    button.textContent = "Undo";
    button.addEventListener("click", () => { box.hidden = true; undo(); });
    box.append(button);
  }
  box.hidden = false;
  toastEnds = setTimeout(() => { box.hidden = true; }, UNDO);
}

/** The thread that a shortcut applies to: the focused one in the list, else the open one. */
function chosen() {
  return document.activeElement.closest?.(".thread-row")?.dataset.key ?? $("thread").dataset.thread;
}

function isMarkedDone(thread) {
  return $("thread").dataset.thread === thread ? "done" in $("thread").dataset : rowOf(thread)?.classList.contains("is-done");
}

function step(direction) {
  const row = document.activeElement.closest?.(".thread-row");
  const open = $("thread").dataset.thread;
  const from = row ?? rowOf(open);
  const next = from ? from[direction] : rows.firstElementChild;
  if (!next) {
    if (direction === "nextElementSibling" && $("more")) showMore($("more"));
    return;
  }
  const link = next.querySelector("a");
  if (row || !open) link.focus();
  else openThread(link.href, {push: true}).catch(() => location.assign(link.href));
}

onKeys({
  j: () => step("nextElementSibling"),
  k: () => step("previousElementSibling"),
  e: () => chosen() ? void markDone(chosen(), !isMarkedDone(chosen())) : false,
  u: () => $("thread").dataset.thread ? closeThread({push: true}) : false,
  U: () => chosen() ? void markUnread(chosen()) : false,
  c: () => $("comment") ? $("comment").focus() : false,
  "/": () => {
    if (!isWide.matches && $("thread").dataset.thread) closeThread({push: true});
    $("q").focus();
  },
});

function keepDraft() {
  const thread = $("thread").dataset.thread, box = $("comment");
  if (!thread || !box) return;
  if (box.value.trim()) drafts.set(thread, box.value);
  else drafts.delete(thread);
}

function restoreDraft() {
  const box = $("comment");
  const draft = drafts.get($("thread").dataset.thread);
  if (box && draft && !box.value) box.value = draft;
}

async function refreshThread() {
  const pane = $("thread"), open = pane.dataset.thread;
  if (!open || $("timeline").dataset.isEarlier !== undefined) return;
  const parts = await fetchParts(seenOrNot(`${flow}/threads/${open}/pane${query}`));
  if ($("thread").dataset.thread !== open) return;
  const scrolled = threadScroller();
  const wasAtEnd = scrolled.scrollHeight - scrolled.scrollTop - scrolled.clientHeight < 48 && scrolled.scrollTop > 0;
  const fresh = parts.getElementById("timeline");
  const first = Number(fresh.firstElementChild?.dataset.key ?? 0);
  const arrived = updateChildren($("timeline"), fresh, message => Number(message.dataset.key) < first, "start");
  updateChildren($("thread-body"), parts.getElementById("thread-body"));
  for (const message of arrived) message.classList.add("is-arriving");
  pane.dataset.title = parts.getElementById("thread").dataset.title;
  updateTitle();
  if (wasAtEnd) scrolled.scrollTop = scrolled.scrollHeight;
}

async function showEarlier(link) {
  const address = new URL(link.href);
  const parts = await fetchParts(`${address.pathname}/pane${address.search}`);
  const pane = threadScroller();
  const height = pane.scrollHeight, top = pane.scrollTop;
  $("timeline").prepend(...parts.getElementById("timeline").children);
  const next = parts.getElementById("earlier");
  if (next) link.replaceWith(next);
  else link.parentElement.remove();
  // Keep the scroll position, also in browsers without scroll anchoring.
  pane.scrollTop = top + pane.scrollHeight - height;
  next?.focus({preventScroll: true});
}

async function sendComment(form) {
  const box = $("comment"), thread = $("thread").dataset.thread, words = box.value;
  if (!words.trim() || form.dataset.sent) return;
  form.dataset.sent = "1";
  const body = new URLSearchParams(new FormData(form));
  // Cleared before the response, so that somebody who leaves the page does not find the sent comment in the box.
  box.value = "";
  const bringBack = () => {
    if (box.isConnected) box.value = [words, box.value].filter(Boolean).join("\n");
    else drafts.set(thread, [words, drafts.get(thread)].filter(Boolean).join("\n"));
  };
  let response;
  try {
    response = await fetch(form.action, {method: "POST", body, keepalive: true});
  } catch {
    bringBack();
    if (box.isConnected) showProblem("Flowdock cannot be reached, so your comment was not posted. Try again.");
    return;
  } finally {
    delete form.dataset.sent;
  }
  if (!response.ok) {
    bringBack();
    // Too long, or signed out: submit the form, so that the server's page shows the error with the typed text.
    if (box.isConnected) form.submit();
    return;
  }
  if ($("thread").dataset.thread !== thread) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const key = page.querySelector("#comment-form [name=form_key]");
  if (!key) return location.reload();
  form.querySelector("[name=form_key]").value = key.value;
  $("form-problem")?.remove();
  await refreshThread();
  const pane = threadScroller();
  pane.scrollTop = pane.scrollHeight;
}

function showProblem(sentence) {
  const problem = $("form-problem") ?? document.createElement("p");
  problem.id = "form-problem";
  problem.className = "hint hint-error";
  problem.setAttribute("role", "alert");
  problem.textContent = sentence;
  $("comment").after(problem);
}

// ---- Actions of a thread ----

const pressed = new Set(); // addresses of buttons whose service has not responded yet

/** Run an action of the thread without leaving the page, so that a typed comment is kept. */
async function press(form) {
  const address = form.action, thread = $("thread").dataset.thread;
  delete form.dataset.sent;
  if (pressed.has(address)) return;
  pressed.add(address);
  form.setAttribute("aria-busy", "true");
  let outcome;
  try {
    const body = new URLSearchParams(new FormData(form));
    const response = await fetch(address, {method: "POST", body, headers: {Accept: "application/json"}});
    if (response.redirected) return location.reload(); // the session has ended
    outcome = response.ok ? await response.json()
      : {message: response.status === 404 ? "This button is no longer available. Reload the page." : "The request failed. Reload the page and try again."};
  } catch {
    outcome = {message: "Flowdock cannot be reached. Before you try again, check whether the action was carried out."};
  } finally {
    pressed.delete(address);
    form.removeAttribute("aria-busy");
  }
  if ($("thread").dataset.thread !== thread) return;
  showOutcome(outcome);
  refresh({thread: true});
}

/** The same notice as in _notices.html. */
function showOutcome({message, done, url}) {
  const box = document.createElement("div"), icon = $("outcome-icons").content.querySelector(done ? ".is-done" : ".is-not-done");
  const words = document.createElement("div");
  box.className = `notice notice-flat notice-${done ? "ok" : url ? "warn" : "danger"}`;
  box.setAttribute("role", "status");
  for (const older of document.querySelectorAll("#thread > .notice")) older.remove();
  document.querySelector("#thread > .inbox-bar").after(box);
  words.textContent = message || "Done.";
  if (url) {
    const link = document.createElement("a");
    link.href = url;
    link.rel = "noopener noreferrer nofollow";
    link.textContent = "Sign in there";
    words.append(" ", link);
  }
  box.append(icon.firstElementChild.cloneNode(true), words);
  box.scrollIntoView({block: "nearest"});
}

// ---- Events of the page ----

document.addEventListener("click", event => {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target.closest("a[href]");
  if (event.target.closest("#moved")) {
    scroller().scrollTo({top: 0});
    return;
  }
  if (!link || link.origin !== location.origin) return;
  const act = {more: () => showMore(link), earlier: () => showEarlier(link), back: () => closeThread({push: true})}[link.id]
    ?? (link.closest(".thread-row") && threadAddress.test(link.pathname) ? () => openThread(link.href, {push: true}) : null);
  if (!act) return;
  event.preventDefault();
  // If it fails, the link's own page opens or shows the error.
  Promise.resolve(act()).catch(() => location.assign(link.href));
});

document.addEventListener("submit", event => {
  if (event.target.id === "done-form") {
    event.preventDefault();
    markDone($("thread").dataset.thread, event.target.elements.done.value === "1");
  }
  if (event.target.matches("[data-press]") && !event.defaultPrevented) {
    event.preventDefault();
    press(event.target);
  }
  if (event.target.id !== "comment-form") return;
  event.preventDefault();
  sendComment(event.target);
});

document.addEventListener("keydown", event => {
  if (event.target.id === "comment" && event.key === "Enter" && (event.metaKey || event.ctrlKey)) {
    event.target.form.requestSubmit();
  }
  if (event.target.closest?.("#rows") && ["ArrowDown", "ArrowUp"].includes(event.key)) {
    const row = event.target.closest(".thread-row");
    const next = event.key === "ArrowDown" ? row?.nextElementSibling : row?.previousElementSibling;
    if (next) { event.preventDefault(); next.querySelector("a").focus(); }
  }
});

history.scrollRestoration = "manual";
window.addEventListener("popstate", () => {
  const open = threadAddress.exec(location.pathname);
  if (open) openThread(location.href, {push: false}).catch(() => location.reload());
  else closeThread({push: false});
});

document.addEventListener("visibilitychange", () => {
  clearUpdatedAtTop();
  // What arrived in the background counts as read now.
  if (!document.hidden && $("thread").dataset.thread) refresh({thread: true, list: true});
});
document.addEventListener("scroll", clearUpdatedAtTop, {capture: true, passive: true});

// ---- Events of the flow ----

const refresh = refresher({list: refreshList, thread: refreshThread});

function receive({kind, thread, number}) {
  if (kind === "beat") {
    if (number > seen || refresh.isDue()) refresh({list: true, thread: true});
    return;
  }
  if (kind === "presence") return;
  if (kind === "marks") return refresh({list: true, thread: true});
  refresh({list: true, thread: kind === "source" || thread === $("thread").dataset.thread});
}

const tellOthers = subscribe(`${flow}/events`, receive, () => refresh({list: true, thread: true}));

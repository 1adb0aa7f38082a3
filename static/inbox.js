// A flow's inbox that stays up to date: threads open in place, and what happens in the flow arrives by itself.
//
// The server says over one event stream *that* something happened and where. This script then fetches the same markup
// that a reload would bring and takes over what differs, row by row. So nothing depends on having heard every event:
// after a lost connection the page looks once, and is as good as new.

import {tellTimes} from "./flowdock.js";

const PAUSE = 250; // milliseconds between two looks while much is happening
const MOST_ROWS = 400; // a window that is open for weeks lets the oldest go
const WITHOUT_CONNECTION = 5000; // milliseconds after which the page says that it is not up to date

const inbox = document.getElementById("inbox");
const flow = inbox.dataset.flow;
const query = inbox.dataset.query;
const threadAddress = new RegExp(`^${RegExp.escape ? RegExp.escape(flow) : flow}/threads/([^/]+)$`);
const $ = id => document.getElementById(id);

// ---- Taking over what differs ----

/** Parsed, but no part of the page yet. */
async function fetchParts(address) {
  let response, text;
  try {
    response = await fetch(address, {headers: {Accept: "text/html"}});
    text = await response.text();
  } catch (error) {
    throw new Unreachable(address, {cause: error});
  }
  if (response.redirected || response.status === 404) throw new Gone(address);
  if (!response.ok) throw new Unreachable(`${response.status} from ${address}`);
  const template = document.createElement("template");
  template.innerHTML = text;
  tellTimes(template.content);
  return template.content;
}

/** Signed out meanwhile, no longer in the flow, or the thread was deleted: the page is no longer what it was. */
class Gone extends Error {}

/** The server restarts, or the network is away: the same again, later. */
class Unreachable extends Error {}

function differs(one, other) {
  const markup = element => {
    const copy = element.cloneNode(true);
    copy.classList.remove("is-arriving");
    for (const time of copy.querySelectorAll("time")) { time.textContent = ""; time.title = ""; }
    for (const link of copy.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
    return copy.outerHTML.replace(' class=""', "");
  };
  return markup(one) !== markup(other);
}

/** Put `element` before `next`. Where it can be told, an element that moves keeps focus and selection. */
function place(parent, element, next) {
  if (parent.moveBefore && element.isConnected) parent.moveBefore(element, next);
  else parent.insertBefore(element, next);
}

/**
 * Make the keyed children of `parent` those of `fresh`, touching only what differs.
 * `keep` tells which of the others stay; they are expected before (`at: "start"`) or after ("end") the fresh ones.
 * Returns those that are new or have changed.
 */
function takeOver(parent, fresh, keep = () => false, at = "end") {
  const old = new Map([...parent.children].filter(child => child.dataset.key).map(child => [child.dataset.key, child]));
  const focused = parent.contains(document.activeElement) ? document.activeElement.closest("[data-key]")?.dataset.key : null;
  const changed = [];
  const wanted = [];
  for (const child of [...fresh.children].filter(child => child.dataset.key)) {
    const known = old.get(child.dataset.key);
    old.delete(child.dataset.key);
    if (known && "inside" in child.dataset) {
      wanted.push(known);
    } else if (known && !differs(known, child)) {
      wanted.push(known);
    } else {
      if (known) known.replaceWith(child);
      changed.push(child);
      wanted.push(child);
    }
  }
  let kept = 0;
  for (const child of old.values()) {
    if (keep(child)) kept += 1;
    else child.remove();
  }
  let index = at === "start" ? kept : 0;
  for (const child of wanted) {
    if (parent.children[index] !== child) place(parent, child, parent.children[index] ?? null);
    index += 1;
  }
  if (focused && !parent.contains(document.activeElement)) {
    parent.querySelector(`[data-key="${CSS.escape(focused)}"] a`)?.focus({preventScroll: true});
  }
  return changed;
}

// ---- The list ----

const rows = $("rows");
let seen = Number(rows.dataset.number); // of the flow's latest message
let moved = new Set(); // threads that moved while nobody was looking at the top of the list
// Side by side, list and thread scroll by themselves; on a narrow screen the page does. As look.css has it.
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
  // Rows that were shown below what was fetched are still right, unless so much happened that some lie in between.
  const goesOn = parts.getElementById("more") !== null && last <= rows.firstElementChild?.dataset.place
    && !(wasAtTop && rows.childElementCount > MOST_ROWS);
  const isBelow = row => goesOn && row.dataset.place < last;
  const shownBelow = [...rows.children].some(isBelow);
  const before = new Set([...rows.children].map(row => row.dataset.key));
  const changed = inPlace(() => {
    const changed = takeOver(rows, fresh, isBelow);
    for (const row of changed) {
      row.classList.add("is-arriving");
      if (document.hidden || !wasAtTop) moved.add(row.dataset.key);
    }
    tellMoved();
    return changed;
  });
  if (!shownBelow) $("after-rows").replaceChildren(...parts.getElementById("after-rows").childNodes);
  takeOverFilters(parts.getElementById("filters"));
  seen = Math.max(seen, Number(fresh.dataset.number));
  markCurrent();
  const arrived = changed.filter(row => !before.has(row.dataset.key)).length;
  if (changed.length) $("news").textContent = arrived ? `${counted(arrived, "new thread")}` : `${counted(changed.length, "thread")} moved`;
}

/** Do something to the rows so that what is being read does not move. Browsers are not of one mind on it. */
function inPlace(act) {
  const top = isWide.matches ? $("threads").getBoundingClientRect().top : 0;
  const reading = scroller().scrollTop < 8 ? null
    : [...rows.children].find(row => row.getBoundingClientRect().bottom > top + $("threads").firstElementChild.offsetHeight);
  const before = reading?.getBoundingClientRect().top;
  const result = act();
  if (reading?.isConnected) scroller().scrollTop += reading.getBoundingClientRect().top - before;
  return result;
}

function takeOverFilters(fresh) {
  const filters = $("filters");
  if (!differs(filters, fresh)) return;
  const focused = filters.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  filters.replaceChildren(...fresh.childNodes);
  if (focused !== null) filters.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
}

const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function tellMoved() {
  const count = moved.size;
  const bar = $("moved");
  bar.hidden = count === 0 || scroller().scrollTop < 8;
  bar.textContent = `${counted(count, "thread")} ${count === 1 ? "has" : "have"} moved since you looked`;
  const title = document.title.replace(/^\(\d+\) /, "");
  document.title = count ? `(${count}) ${title}` : title;
}

function lookedAtTop() {
  if (document.hidden || !moved.size || scroller().scrollTop >= 8) return;
  moved.clear();
  tellMoved();
}

async function showMore(link) {
  const address = new URL(link.href);
  const parts = await fetchParts(`${flow}/list${address.search}`);
  const known = new Set([...rows.children].map(row => row.dataset.key));
  const more = [...parts.getElementById("rows").children].filter(row => !known.has(row.dataset.key));
  rows.append(...more);
  $("after-rows").replaceChildren(...parts.getElementById("after-rows").childNodes);
  markCurrent();
  more[0]?.querySelector("a").focus({preventScroll: true});
}

/** The page is about the thread that is open, else about the flow: as the server has it. */
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
const drafts = new Map(); // what was typed into a thread's box and not sent

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
  document.title = `${pane.dataset.title} · ${inbox.dataset.name}`;
  moved.delete(pane.dataset.thread);
  tellMoved();
  markCurrent();
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
  document.title = inbox.dataset.name;
  tellMoved();
  markCurrent();
  if (last) rows.querySelector(`[data-key="${CSS.escape(last)}"] a`)?.focus();
}

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
  const parts = await fetchParts(`${flow}/threads/${open}/pane${query}`);
  if ($("thread").dataset.thread !== open) return;
  const scrolled = threadScroller();
  const wasAtEnd = scrolled.scrollHeight - scrolled.scrollTop - scrolled.clientHeight < 48 && scrolled.scrollTop > 0;
  const fresh = parts.getElementById("timeline");
  const first = Number(fresh.firstElementChild?.dataset.key ?? 0);
  const arrived = takeOver($("timeline"), fresh, message => Number(message.dataset.key) < first, "start");
  takeOver($("thread-body"), parts.getElementById("thread-body"));
  for (const message of arrived) message.classList.add("is-arriving");
  const counts = document.title.match(/^\(\d+\) /)?.[0] ?? "";
  document.title = `${counts}${parts.getElementById("thread").dataset.title} · ${inbox.dataset.name}`;
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
  // What was being read stays where it is, also in browsers that do not see to it themselves.
  pane.scrollTop = top + pane.scrollHeight - height;
  next?.focus({preventScroll: true});
}

async function sendComment(form) {
  const box = $("comment"), thread = $("thread").dataset.thread, words = box.value;
  if (!words.trim() || form.dataset.sent) return;
  form.dataset.sent = "1";
  let response;
  try {
    response = await fetch(form.action, {method: "POST", body: new URLSearchParams(new FormData(form))});
  } catch {
    sayProblem("Flowdock cannot be reached, so this is not posted yet. Press Comment again.");
    return;
  } finally {
    delete form.dataset.sent;
  }
  if (!response.ok) {
    // Too long, or signed out meanwhile: the whole page says so. What was typed is sent along.
    form.submit();
    return;
  }
  drafts.delete(thread);
  if ($("thread").dataset.thread !== thread) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const key = page.querySelector("#comment-form [name=form_key]");
  if (!key) return location.reload();
  form.querySelector("[name=form_key]").value = key.value;
  if (box.value === words) box.value = "";
  $("said-problem")?.remove();
  await refreshThread();
  const pane = threadScroller();
  pane.scrollTop = pane.scrollHeight;
}

function sayProblem(sentence) {
  const problem = $("said-problem") ?? document.createElement("p");
  problem.id = "said-problem";
  problem.className = "hint hint-error";
  problem.setAttribute("role", "alert");
  problem.textContent = sentence;
  $("comment").after(problem);
}

// ---- What people do ----

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
  // Where it does not work in place, the server's own page works or says what is the matter.
  Promise.resolve(act()).catch(() => location.assign(link.href));
});

document.addEventListener("submit", event => {
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

document.addEventListener("visibilitychange", lookedAtTop);
document.addEventListener("scroll", lookedAtTop, {capture: true, passive: true});

// ---- What happens in the flow ----

const due = {list: false, thread: false};
let looking = false;

/** Look again, soon: much at once is one look. */
async function lookAgain(what) {
  Object.assign(due, what);
  if (looking) return;
  looking = true;
  while (due.list || due.thread) {
    const now = {...due};
    due.list = due.thread = false;
    try {
      await Promise.all([now.list && refreshList(), now.thread && refreshThread()]);
    } catch (error) {
      looking = false;
      if (error instanceof Gone) return location.reload();
      if (!(error instanceof Unreachable)) throw error;
      Object.assign(due, now); // the next beat takes it up
      return;
    }
    await new Promise(resolve => setTimeout(resolve, PAUSE));
  }
  looking = false;
}

function hear({kind, thread, number}) {
  if (kind === "beat") {
    if (number > seen || due.list || due.thread) lookAgain({list: true, thread: true});
    return;
  }
  lookAgain({list: true, thread: kind === "source" || thread === $("thread").dataset.thread});
}

function connect(tell) {
  const stream = new EventSource(`${flow}/events`);
  let lost = null;
  stream.addEventListener("beat", event => {
    clearTimeout(lost);
    lost = null;
    $("connection").hidden = true;
    tell({kind: "beat", number: Number(event.data)});
  });
  stream.addEventListener("note", event => tell(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    lost ??= setTimeout(() => { $("connection").hidden = false; }, WITHOUT_CONNECTION);
    // Browsers try again by themselves after a broken connection, but not after an answer that is no stream.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => connect(tell), 2000 + Math.random() * 3000);
  });
}

// Browsers open six connections to a host at most. So of all windows on this flow one holds the stream, and tells the rest.
if (navigator.locks && window.BroadcastChannel) {
  const others = new BroadcastChannel(`flow:${flow}`);
  others.addEventListener("message", event => hear(event.data));
  navigator.locks.request(`flow:${flow}`, () => new Promise(() => {
    connect(note => { hear(note); others.postMessage(note); });
  }));
  // What happened between the making of this page and now: a window that holds the stream hears it at once.
  setTimeout(() => lookAgain({list: true, thread: true}), PAUSE);
} else {
  connect(hear);
}

// The chat of a flow or of two people: new messages arrive, older ones load on scrolling; files by drop and paste,
// mentions by @.

import {updateTimes} from "./flowdock.js";
import {fetchParts, updateChildren, updateElement, refresher, subscribe, onKeys, showUnreadInTitle} from "./live.js";

const NEAR = 64; // pixels from the end that count as being at the end
const MOST_FILES = 10;
const LEAVING = 300; // milliseconds

const page = document.getElementById("chat");
const {address, query, events, flow} = page.dataset;
const $ = id => document.getElementById(id);
const lines = $("lines"), scroll = $("scroll");
const isLatest = lines.dataset.isEarlier === undefined && !query;
let lineAt = lines.dataset.line; // number of the last message that was read when the page opened
let unseen = 0; // messages that arrived while the end of the list was out of sight
let lastBeat = null;

const isAtEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR;
const toEnd = () => { scroll.scrollTop = scroll.scrollHeight; };
const numbers = () => [...lines.querySelectorAll(".line")].map(line => Number(line.dataset.key));

// ---- Messages ----

async function refreshLines() {
  const unseenOrNot = document.hidden || !isLatest ? "&unseen=1" : "";
  const parts = await fetchParts(`${address}/lines?line=${lineAt}${unseenOrNot}`);
  for (const part of ["flows", "people"]) if ($(part)) updateElement($(part), parts.getElementById(part));
  showUnreadInTitle(document.hidden || !isLatest ? Number($("flows").dataset.unreadMessages) : 0, page.dataset.name);
  if (!isLatest) return;
  const fresh = parts.getElementById("lines");
  const first = Number(fresh.querySelector(".line")?.dataset.key ?? 0);
  const known = new Set(numbers()), wasAtEnd = isAtEnd();
  // The heading of the first message's day may already be shown further up.
  const day = fresh.firstElementChild?.matches(".day") ? fresh.firstElementChild : null;
  const begun = day && lines.querySelector(`[data-key="${day.dataset.key}"]`);
  if (Number(begun?.nextElementSibling?.dataset.key ?? Infinity) < first) day.remove();
  // Messages older than the fetched ones stay.
  const isOlder = child => child.classList.contains("line") ? Number(child.dataset.key) < first
    : Number(child.nextElementSibling?.dataset.key ?? Infinity) < first;
  const changed = updateChildren(lines, fresh, isOlder, "start");
  const arrived = changed.filter(line => line.classList.contains("line") && !known.has(Number(line.dataset.key)));
  for (const line of arrived) line.classList.add("is-arriving");
  if (numbers().length) $("no-lines")?.remove();
  if (!arrived.length) return;
  if (wasAtEnd) toEnd();
  else unseen += arrived.length;
  showBelowCount();
  $("announcements").textContent = arrived.length === 1 ? arrived[0].querySelector(".line-main").innerText : `${arrived.length} new messages`;
}

async function refreshThread() {
  const thread = $("thread");
  if (!thread) return;
  const parts = await fetchParts(`${address}/${thread.dataset.root}/pane`);
  for (const list of ["root", "comments"]) updateChildren($(list), parts.getElementById(list));
  if ($("comments").childElementCount) $("no-comments")?.remove();
}

function showBelowCount() {
  const button = $("below");
  button.hidden = !unseen;
  button.textContent = `${unseen} new message${unseen === 1 ? "" : "s"} below`;
}

/** Refresh a message that is older than those that `refreshLines` fetches. */
async function refreshOne(number) {
  const shown = $(`message-${number}`);
  if (!shown || numbers().slice(-50).includes(number)) return;
  const parts = await fetchParts(`${address}/${number}/line`);
  const fresh = parts.firstElementChild;
  if (fresh?.matches(".line")) shown.replaceWith(fresh);
}

async function showEarlier(link) {
  const url = new URL(link.href);
  const parts = await fetchParts(`${address}/lines${url.search}&line=${lineAt}&unseen=1`);
  const height = scroll.scrollHeight, top = scroll.scrollTop;
  const known = new Set([...lines.children].map(child => child.dataset.key));
  const more = [...parts.getElementById("lines").children];
  // Remove the heading of a day whose first message is now further up.
  const last = more.filter(child => child.classList.contains("day")).at(-1)?.dataset.key;
  if (last && lines.firstElementChild?.dataset.key === last) lines.firstElementChild.remove();
  lines.prepend(...more.filter(child => child.dataset.key === last || !known.has(child.dataset.key)));
  $("before-lines").replaceChildren(...parts.getElementById("before-lines").childNodes);
  scroll.scrollTop = top + scroll.scrollHeight - height;
}

let isFetching = false;
const above = new IntersectionObserver(async ([entry]) => {
  const link = $("earlier");
  if (!entry.isIntersecting || !link || isFetching) return;
  isFetching = true;
  try {
    await showEarlier(link);
    above.unobserve($("before-lines"));
    above.observe($("before-lines"));
  } catch {
    // The link remains and can be clicked.
  } finally {
    isFetching = false;
  }
}, {root: scroll, rootMargin: "400px"});

// ---- Sending ----

let isLeft = false;
window.addEventListener("pagehide", () => { isLeft = true; });
window.addEventListener("pageshow", () => { isLeft = false; });

async function send(form) {
  const box = form.querySelector("textarea"), files = form.querySelector("[type=file]"), words = box.value;
  if ((!words.trim() && !files?.files.length) || form.dataset.sent) return;
  form.dataset.sent = "1";
  const body = new FormData(form);
  // Cleared before the response, so that somebody who leaves the page does not find the sent text in the box. With
  // `keepalive` it is sent even then; browsers allow that for 64 kB only, so not for files.
  box.value = "";
  keepDraft(box);
  const bringBack = () => {
    box.value = [words, box.value].filter(Boolean).join("\n");
    keepDraft(box);
  };
  let response;
  try {
    response = await fetch(form.action, {method: "POST", body, keepalive: !files?.files.length});
  } catch {
    // Leaving the page also ends the request, slightly before `pagehide`. The server gets it all the same.
    await new Promise(resolve => setTimeout(resolve, LEAVING));
    if (isLeft) return;
    bringBack();
    showProblem(box, "Flowdock cannot be reached, so your message was not sent. Try again.");
    return;
  } finally {
    delete form.dataset.sent;
  }
  const answer = new DOMParser().parseFromString(await response.text(), "text/html");
  if (!response.ok) {
    bringBack();
    const problem = answer.getElementById(box.id === "content" ? "problem" : "comment-problem");
    if (response.status === 400 && problem) showProblem(box, problem.textContent.trim());
    else showProblem(box, response.status === 413 ? "Your message is too large. Send fewer or smaller files." : "Your message was not sent. Reload the page and try again.");
    return;
  }
  const key = answer.querySelector("[name=form_key]");
  if (!key) return location.reload(); // the session has ended
  for (const field of document.querySelectorAll("[name=form_key]")) field.value = key.value;
  if (files) { files.value = ""; listFiles(files); }
  form.querySelector(".form-problem")?.remove();
  box.focus();
  if (!isLatest && form.dataset.after === "lines") return location.assign(address);
  await refresh({lines: true, thread: true});
  if (form.dataset.after === "lines") toEnd();
}

function showProblem(box, sentence) {
  const problem = box.form.querySelector(".form-problem") ?? document.createElement("p");
  problem.className = "hint hint-error form-problem";
  problem.setAttribute("role", "alert");
  problem.textContent = sentence;
  box.after(problem);
}

// Unsent text is restored when the page is opened again.
const draftKey = box => `draft:${box.form.action}`;
function keepDraft(box) {
  if (box.value.trim()) sessionStorage.setItem(draftKey(box), box.value);
  else sessionStorage.removeItem(draftKey(box));
}

// ---- Files ----

function listFiles(field) {
  const list = $("chosen-files");
  list.replaceChildren(...[...field.files].map((file, place) => {
    const item = document.createElement("li"), name = document.createElement("span"), button = document.createElement("button");
    name.textContent = file.name;
    name.className = "truncate";
    button.type = "button";
    button.className = "button button-quiet button-small";
    button.textContent = "Remove";
    button.setAttribute("aria-label", `Remove ${file.name}`);
    button.addEventListener("click", () => setFiles(field, [...field.files].filter((_, other) => other !== place)));
    item.append(name, button);
    return item;
  }));
  list.hidden = !field.files.length;
  field.form.querySelector(".form-problem")?.remove(); // it was about the previous files
}

function setFiles(field, files) {
  const transfer = new DataTransfer();
  for (const file of files.slice(0, MOST_FILES)) transfer.items.add(file);
  field.files = transfer.files;
  listFiles(field);
}

const filesField = $("files");
if (filesField) {
  filesField.addEventListener("change", () => listFiles(filesField));
  for (const type of ["dragover", "dragleave", "drop"]) {
    $("pane").addEventListener(type, event => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      $("pane").classList.toggle("is-dropping", type === "dragover");
      if (type !== "drop") return;
      setFiles(filesField, [...filesField.files, ...event.dataTransfer.files]);
      $("content").focus();
    });
  }
  $("content").addEventListener("paste", event => {
    if (!event.clipboardData.files.length) return;
    event.preventDefault();
    setFiles(filesField, [...filesField.files, ...event.clipboardData.files]);
  });
}

// ---- Mentions ----

const list = $("mention-list");
let mentioning = null; // {box, from, options, chosen}

function offerMentions(box) {
  if (!list || !$("people")) return;
  const before = box.value.slice(0, box.selectionStart);
  const found = /(?:^|[\s(])@([\p{L}\p{N}_.-]*)$/u.exec(before);
  if (!found) return closeMentions();
  const typed = found[1].toLowerCase();
  const people = [...document.querySelectorAll("#people [data-nick]")].map(({dataset}) => ({nick: dataset.nick, name: dataset.name}));
  people.push({nick: "everyone", name: "Everyone in this flow"});
  const options = people.filter(({nick, name}) => nick.toLowerCase().startsWith(typed)
    || name.toLowerCase().split(/\s+/).some(word => word.startsWith(typed))).slice(0, 8);
  if (!options.length) return closeMentions();
  mentioning = {box, from: box.selectionStart - typed.length, options, chosen: 0};
  box.closest(".composer").append(list);
  list.replaceChildren(...options.map(({nick, name}, place) => {
    const item = document.createElement("li");
    item.id = `mention-${place}`;
    item.setAttribute("role", "option");
    const strong = document.createElement("b"), rest = document.createElement("span");
    strong.textContent = `@${nick}`;
    rest.textContent = name;
    rest.className = "muted";
    item.append(strong, rest);
    item.addEventListener("mousedown", event => { event.preventDefault(); mentioning.chosen = place; insertMention(); });
    return item;
  }));
  list.hidden = false;
  box.setAttribute("aria-controls", list.id);
  chooseMention(0);
}

function chooseMention(place) {
  const count = mentioning.options.length;
  mentioning.chosen = (place + count) % count;
  for (const [index, item] of [...list.children].entries()) item.setAttribute("aria-selected", String(index === mentioning.chosen));
  mentioning.box.setAttribute("aria-activedescendant", `mention-${mentioning.chosen}`);
}

function insertMention() {
  const {box, from, options, chosen} = mentioning;
  box.setRangeText(`${options[chosen].nick} `, from, box.selectionStart, "end");
  closeMentions();
  keepDraft(box);
}

function closeMentions() {
  if (!mentioning) return;
  mentioning.box.removeAttribute("aria-activedescendant");
  mentioning = null;
  list.hidden = true;
}

// ---- Events of the page ----

for (const box of document.querySelectorAll(".say-form textarea")) {
  box.form.noValidate = true; // `send` ignores an empty box, such as after a second click
  if (!box.value) box.value = sessionStorage.getItem(draftKey(box)) ?? "";
  box.addEventListener("input", () => { keepDraft(box); offerMentions(box); });
  box.addEventListener("blur", closeMentions);
  box.addEventListener("keydown", event => {
    if (event.isComposing) return;
    if (mentioning) {
      const act = {
        ArrowDown: () => chooseMention(mentioning.chosen + 1),
        ArrowUp: () => chooseMention(mentioning.chosen - 1),
        Enter: insertMention,
        Tab: insertMention,
        Escape: closeMentions,
      }[event.key];
      if (act && !event.shiftKey) {
        event.preventDefault();
        act();
        return;
      }
    }
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      box.form.requestSubmit();
    }
  });
}

document.addEventListener("submit", event => {
  if (!event.target.matches(".say-form")) return;
  event.preventDefault();
  send(event.target);
});

document.addEventListener("click", async event => {
  if (event.target.closest("#below")) {
    toEnd();
    return;
  }
  const link = event.target.closest("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  if (link.id === "earlier") {
    event.preventDefault();
    showEarlier(link).catch(() => location.assign(link.href));
  } else if (link.matches("[data-edit]")) {
    event.preventDefault();
    editInPlace(link).catch(() => location.assign(link.href));
  }
});

/** Show the form of the edit page in place of the message. */
async function editInPlace(link) {
  const parts = await fetchParts(link.href);
  const form = parts.getElementById("edit-form");
  const line = link.closest(".line"), main = line.querySelector(".line-main");
  const end = () => { form.remove(); main.hidden = false; line.querySelector("a[data-edit]")?.focus(); };
  form.className = "line-edit stack stack-s";
  main.hidden = true;
  main.after(form);
  const box = form.querySelector("textarea");
  box.focus();
  box.setSelectionRange(box.value.length, box.value.length);
  form.querySelector("#edit-cancel").addEventListener("click", event => { event.preventDefault(); end(); });
  box.addEventListener("keydown", event => {
    if (event.key === "Escape") end();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const target = event.submitter?.formAction || form.action;
    const response = await fetch(target, {method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual"});
    if (response.type !== "opaqueredirect") return form.submit(); // the server's page shows the error
    if (!isLatest) return location.reload();
    form.remove(); // the refresh shows the changed message
    main.hidden = false;
    await refresh({lines: true, thread: true});
  });
}

function step(direction) {
  const all = [...document.querySelectorAll("#lines .line")];
  const at = all.indexOf(document.activeElement.closest?.(".line"));
  const next = at < 0 ? all.at(-1) : all[at + direction];
  if (next) { next.focus(); next.scrollIntoView({block: "nearest"}); }
}

onKeys({
  j: () => step(1),
  k: () => step(-1),
  r: () => document.activeElement.closest?.(".line")?.querySelector("a[data-reply]")?.click(),
  c: () => ($("comment") ?? $("content"))?.focus(),
  "/": () => $("q").focus(),
});

scroll.addEventListener("scroll", () => {
  if (!unseen || !isAtEnd()) return;
  unseen = 0;
  showBelowCount();
}, {passive: true});

document.addEventListener("visibilitychange", () => {
  // Messages that arrive in the background are marked as new.
  if (document.hidden) lineAt = String(Math.max(0, ...numbers()));
  else refresh({lines: true, thread: true});
});

// ---- Events of the flow ----

const refresh = refresher({lines: refreshLines, thread: refreshThread});

function receive({kind, number}) {
  if (kind === "beat") {
    if (number !== lastBeat || refresh.isDue()) refresh({lines: true, thread: true});
    lastBeat = number;
    return;
  }
  if (flow ? kind === "edit" || kind === "delete" : kind === "private-edit") refreshOne(number).catch(() => {});
  refresh({lines: true, thread: true});
}

const named = location.hash.startsWith("#message-") ? $(location.hash.slice(1)) : null;
if (named) named.scrollIntoView({block: "center"});
if (lines.contains(named)) {
  // Already scrolled to.
} else if (isLatest && $("new")) {
  $("new").scrollIntoView({block: "center"});
} else {
  toEnd();
}
above.observe($("before-lines"));
updateTimes();
subscribe(events, receive, () => refresh({lines: true, thread: true}));

// What open pages share: fetching the markup that a reload would bring, taking over what differs, and hearing of news.
//
// The server says over one event stream *that* something happened and where. A page then fetches the same markup that a
// reload would bring and takes over what differs, part by part. So nothing depends on having heard every event: after a
// lost connection the page looks once, and is as good as new.

import {tellTimes} from "./flowdock.js";

const PAUSE = 250; // milliseconds between two looks while much is happening
const WITHOUT_CONNECTION = 5000; // milliseconds after which the page says that it is not up to date

const connection = document.getElementById("connection");

// ---- Taking over what differs ----

/** Parsed, but no part of the page yet. */
export async function fetchParts(address) {
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
export class Gone extends Error {}

/** The server restarts, or the network is away: the same again, later. */
export class Unreachable extends Error {}

export function differs(one, other) {
  const markup = element => {
    const copy = element.cloneNode(true);
    copy.classList.remove("is-arriving");
    for (const time of copy.querySelectorAll("time")) { time.textContent = ""; time.title = ""; }
    for (const link of copy.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
    for (const menu of copy.querySelectorAll("details")) menu.open = false;
    // The form's own token differs from one answer to the next.
    for (const field of copy.querySelectorAll("[name=csrfmiddlewaretoken]")) field.remove();
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
export function takeOver(parent, fresh, keep = () => false, at = "end") {
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

/** Bring a `box` in which only some children matter up to date as a whole, and keep the focus in it. */
export function takeOverWhole(box, fresh) {
  if (!fresh || !differs(box, fresh)) return;
  const focused = box.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  box.replaceChildren(...fresh.childNodes);
  for (const {name, value} of fresh.attributes) box.setAttribute(name, value);
  if (focused !== null) box.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
}

/**
 * Who looks again when something happened. `looks` maps the names of a page's parts to functions that refresh them;
 * the returned function takes the parts that are due, and much at once is one look.
 */
export function looker(looks) {
  const due = Object.fromEntries(Object.keys(looks).map(part => [part, false]));
  const isDue = () => Object.values(due).some(Boolean);
  let looking = false;

  async function lookAgain(what) {
    Object.assign(due, what);
    if (looking) return;
    looking = true;
    while (isDue()) {
      const now = {...due};
      for (const part of Object.keys(due)) due[part] = false;
      try {
        await Promise.all(Object.keys(looks).map(part => now[part] && looks[part]()));
      } catch (error) {
        looking = false;
        if (error instanceof Gone) return location.reload();
        if (!(error instanceof Unreachable)) throw error;
        for (const part of Object.keys(due)) due[part] ||= now[part]; // the next beat takes it up
        return;
      }
      await new Promise(resolve => setTimeout(resolve, PAUSE));
    }
    looking = false;
  }
  lookAgain.isDue = isDue;
  return lookAgain;
}

function connect(address, tell) {
  const stream = new EventSource(address);
  let lost = null;
  stream.addEventListener("beat", event => {
    clearTimeout(lost);
    lost = null;
    connection.hidden = true;
    tell({kind: "beat", number: Number(event.data)});
  });
  stream.addEventListener("note", event => tell(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    lost ??= setTimeout(() => { connection.hidden = false; }, WITHOUT_CONNECTION);
    // Browsers try again by themselves after a broken connection, but not after an answer that is no stream.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => connect(address, tell), 2000 + Math.random() * 3000);
  });
}

/**
 * Hear of what happens at `address`; `begin` is called once, for what happened between the making of the page and now.
 * Returns a function that tells this person's other windows something.
 *
 * Browsers open six connections to a host at most. So of all windows on an address one holds the stream, and tells the
 * rest.
 */
export function listen(address, hear, begin) {
  if (!navigator.locks || !window.BroadcastChannel) {
    connect(address, hear);
    return () => {};
  }
  const others = new BroadcastChannel(address);
  others.addEventListener("message", event => hear(event.data));
  navigator.locks.request(address, () => new Promise(() => {
    connect(address, note => { hear(note); others.postMessage(note); });
  }));
  // A window that holds the stream hears of it at once.
  setTimeout(begin, PAUSE);
  return note => others.postMessage(note);
}

// ---- Keys ----

/** Whether what is typed at `target` is text, so that no key may mean anything else. */
const takesText = target => target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

/** Single keys, as the list behind "?" has them: `acts` maps what was pressed to what to do. */
export function onKeys(acts) {
  const help = document.getElementById("keys");
  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (takesText(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (help.matches(":popover-open") && event.key !== "?") return;
    const act = event.key === "?" ? () => help.togglePopover() : acts[event.key];
    if (!act || act() === false) return;
    event.preventDefault();
  });
}

/** The number of what is unread, before the page's title. */
export function tellUnread(count, title) {
  document.title = count ? `(${count > 99 ? "99+" : count}) ${title}` : title;
}

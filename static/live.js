// Shared by open pages: fetching the current markup, applying what differs, and the stream of events.
//
// An event says only that something changed and where. The page then fetches the markup that a reload would show and
// applies what differs, part by part. So no event has to arrive: after a lost connection one refresh brings the page up
// to date.

import {updateTimes} from "./flowdock.js";

const PAUSE = 250; // milliseconds between two refreshes
const WITHOUT_CONNECTION = 5000; // milliseconds without a connection before the page shows "Reconnecting"

const connection = document.getElementById("connection");

// ---- Applying what differs ----

/** Fetch `address` and return its parsed markup, which is not part of the page yet. */
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
  updateTimes(template.content);
  return template.content;
}

/** The page no longer exists for this person: signed out, not in the flow, or the thread was deleted. */
class Gone extends Error {}

/** The server cannot be reached. The request is repeated later. */
class Unreachable extends Error {}

function differs(one, other) {
  const markup = element => {
    const copy = element.cloneNode(true);
    copy.classList.remove("is-arriving");
    for (const time of copy.querySelectorAll("time")) { time.textContent = ""; time.title = ""; }
    for (const link of copy.querySelectorAll("[aria-current]")) link.removeAttribute("aria-current");
    for (const menu of copy.querySelectorAll("details")) menu.open = false;
    // The CSRF token differs in each response.
    for (const field of copy.querySelectorAll("[name=csrfmiddlewaretoken]")) field.remove();
    return copy.outerHTML.replace(' class=""', "");
  };
  return markup(one) !== markup(other);
}

/** Put `element` before `next`. With `moveBefore` it keeps focus and selection. */
function place(parent, element, next) {
  if (parent.moveBefore && element.isConnected) parent.moveBefore(element, next);
  else parent.insertBefore(element, next);
}

/**
 * Make the children of `parent` that have a key those of `fresh`, changing only what differs.
 * Other children stay if `keep` returns true for them, before (`at: "start"`) or after ("end") the fresh ones.
 * Returns the children that are new or have changed.
 */
export function updateChildren(parent, fresh, keep = () => false, at = "end") {
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

/** Replace the children and attributes of `box` by those of `fresh` if they differ, and keep the focus in it. */
export function updateElement(box, fresh) {
  if (!fresh || !differs(box, fresh)) return;
  const focused = box.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  box.replaceChildren(...fresh.childNodes);
  for (const {name, value} of fresh.attributes) box.setAttribute(name, value);
  if (focused !== null) box.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({preventScroll: true});
}

/**
 * Return a function that refreshes parts of the page: `refresh({list: true})`. `refreshers` maps the parts' names to
 * functions. Calls during a refresh are combined into the next one.
 */
export function refresher(refreshers) {
  const due = Object.fromEntries(Object.keys(refreshers).map(part => [part, false]));
  const isDue = () => Object.values(due).some(Boolean);
  let looking = false;

  async function refresh(what) {
    Object.assign(due, what);
    if (looking) return;
    looking = true;
    while (isDue()) {
      const now = {...due};
      for (const part of Object.keys(due)) due[part] = false;
      try {
        await Promise.all(Object.keys(refreshers).map(part => now[part] && refreshers[part]()));
      } catch (error) {
        looking = false;
        if (error instanceof Gone) return location.reload();
        if (!(error instanceof Unreachable)) throw error;
        for (const part of Object.keys(due)) due[part] ||= now[part]; // the next beat refreshes them
        return;
      }
      await new Promise(resolve => setTimeout(resolve, PAUSE));
    }
    looking = false;
  }
  refresh.isDue = isDue;
  return refresh;
}

function connect(address, receive) {
  const stream = new EventSource(address);
  let lost = null;
  stream.addEventListener("beat", event => {
    clearTimeout(lost);
    lost = null;
    connection.hidden = true;
    receive({kind: "beat", number: Number(event.data)});
  });
  stream.addEventListener("change", event => receive(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    lost ??= setTimeout(() => { connection.hidden = false; }, WITHOUT_CONNECTION);
    // Browsers reconnect after a lost connection, but not after a response that is not a stream.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => connect(address, receive), 2000 + Math.random() * 3000);
  });
}

/**
 * Call `receive` with each event of the stream at `address`, and `begin` once, for what happened while the page loaded.
 * Returns a function that sends an event to this person's other windows.
 *
 * Browsers open at most six connections to a host. So only one of the windows with the same address opens the stream,
 * and sends the events to the others.
 */
export function subscribe(address, receive, begin) {
  if (!navigator.locks || !window.BroadcastChannel) {
    connect(address, receive);
    return () => {};
  }
  const others = new BroadcastChannel(address);
  others.addEventListener("message", event => receive(event.data));
  navigator.locks.request(address, () => new Promise(() => {
    connect(address, change => { receive(change); others.postMessage(change); });
  }));
  // The window that opens the stream gets a beat at once; this is for the others.
  setTimeout(begin, PAUSE);
  return change => others.postMessage(change);
}

// ---- Keys ----

/** Whether `target` takes text, so that keys are not shortcuts there. */
const takesText = target => target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");

/** Keyboard shortcuts, as listed by "?": `acts` maps keys to functions. */
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

/** Show the number of unread threads or messages in the page's title. */
export function showUnreadInTitle(count, title) {
  document.title = count ? `(${count > 99 ? "99+" : count}) ${title}` : title;
}

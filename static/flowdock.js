// For all pages of the Flowdock server: relative times, copy buttons, forms that are sent once, menus that close.
// Every page works without it.

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const exact = new Intl.DateTimeFormat("en-GB", {dateStyle: "long", timeStyle: "medium"});
const weekday = new Intl.DateTimeFormat("en-GB", {weekday: "short"});
const day = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short"});
const dayAndYear = new Intl.DateTimeFormat("en-GB", {day: "numeric", month: "short", year: "numeric"});

const longDay = new Intl.DateTimeFormat("en-GB", {weekday: "long", day: "numeric", month: "long"});
const clock = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit"});

function timeAgo(moment, style) {
  if (style === "day") return longDay.format(moment);
  if (style === "clock") return clock.format(moment);
  const age = Date.now() - moment;
  const ago = style === "ago" ? " ago" : "";
  if (age < MINUTE) return "just now";
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min${ago}`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h${ago}`;
  if (age < 6 * DAY) return weekday.format(moment);
  return (moment.getFullYear() === new Date().getFullYear() ? day : dayAndYear).format(moment);
}

/** Update the times in `root`, in the browser's time zone. */
export function updateTimes(root = document) {
  for (const time of root.querySelectorAll("time[data-style]")) {
    const moment = new Date(time.dateTime);
    const text = timeAgo(moment, time.dataset.style), title = exact.format(moment);
    if (time.textContent !== text) time.textContent = text;
    if (time.title !== title) time.title = title;
  }
}

/** Show the copy buttons in `root`, which need this script. */
function showCopyButtons(root = document) {
  for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
}

async function copy(text, label, field) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages over plain HTTP have no clipboard API: select the text and use the old command.
    if (!field) return false;
    field.select();
    if (!document.execCommand("copy")) return false;
  }
  const before = label.textContent;
  label.textContent = label.dataset.done;
  setTimeout(() => { label.textContent = before; }, 2000);
  return true;
}

document.addEventListener("click", event => {
  const button = event.target.closest("button[data-copy]");
  if (button) {
    const field = document.getElementById(button.dataset.copy);
    copy(field.value, button.querySelector("[data-done]"), field);
  }
  const address = event.target.closest("a[data-copy-address]");
  if (address && navigator.clipboard && !(event.metaKey || event.ctrlKey || event.shiftKey)) {
    event.preventDefault();
    address.classList.add("is-copied");
    setTimeout(() => address.classList.remove("is-copied"), 2000);
    copy(address.href, address.querySelector("[data-done]"));
  }
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("submit", event => {
  if (!event.target.matches("form[data-once]")) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "1";
});
// A page restored by the Back button may send its forms again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

updateTimes();
showCopyButtons();
setInterval(updateTimes, MINUTE / 2);

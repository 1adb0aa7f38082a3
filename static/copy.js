// Copy buttons: <button data-copy="id of the field" hidden>. They show themselves only where a script can copy.
for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  const word = button.querySelector("[data-copied]");
  const before = word.textContent;
  button.hidden = false;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // Plain http on another host than this machine has no clipboard; the selected text can still be copied so.
      document.execCommand("copy");
    }
    word.textContent = word.dataset.copied;
    setTimeout(() => (word.textContent = before), 2000);
  });
}

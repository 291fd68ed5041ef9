// Copies what is shown once. Over plain HTTP a browser lends no clipboard but to this machine itself: then the text is
// selected, and copied the old way or by the reader.

for (const button of document.querySelectorAll("[data-copies]")) {
  const text = document.getElementById(button.dataset.copies);
  const said = button.parentElement.querySelector("[role=status]");
  button.parentElement.hidden = false;
  button.addEventListener("click", async () => {
    said.textContent = (await isCopied(text)) ? "Copied" : "Selected: copy it with Ctrl+C or ⌘C";
  });
}

async function isCopied(text) {
  try {
    await navigator.clipboard.writeText(text.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(text);
    return document.execCommand("copy");
  }
}
